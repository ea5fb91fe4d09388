import { type Device, PatchbayError } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type { Command, Done, FromEdge } from '../messages.js';
import type { Traces } from './traces.js';

interface CommandedParts {
  /** A device that is not over. */
  readonly deviceOf: (deviceId: string) => Device | undefined;
  readonly traces: Traces | undefined;
  readonly log: Log;
}

/** Carries out a command of the leader. @returns what is answered */
export async function carryOut(id: number, command: Command, parts: CommandedParts): Promise<FromEdge> {
  try {
    return { type: 'done', id, ...(await done(command, parts)) };
  } catch (error) {
    if (!(error instanceof PatchbayError)) parts.log.error({ err: error }, 'A command failed.');
    return { type: 'failed', id, failure: failureOf(error) };
  }
}

async function done(commanded: Command, { deviceOf, traces }: CommandedParts): Promise<Done> {
  const { command } = commanded;
  switch (command) {
    case 'sendDtmf': {
      const { deviceId, dtmf } = commanded.asked;
      const device = deviceOf(deviceId);
      if (!device) throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The device is gone.');
      await device.capabilities.sendDtmf?.(dtmf);
      return { command, answer: null };
    }
    case 'readTrace': {
      const { accountId, externalId } = commanded.asked;
      return { command, answer: traces?.of(accountId, externalId) ?? null };
    }
    case 'deleteTrace': {
      const { accountId, externalId } = commanded.asked;
      return { command, answer: traces?.delete(accountId, externalId) ?? false };
    }
  }
}
