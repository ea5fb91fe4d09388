import { type Device, PatchbayError } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type { Command, Done, FromEdge } from '../messages.js';

interface CommandedParts {
  /** A device that is not over. */
  readonly deviceOf: (deviceId: string) => Device | undefined;
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

async function done({ command, asked }: Command, { deviceOf }: CommandedParts): Promise<Done> {
  const device = deviceOf(asked.deviceId);
  if (!device) throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The device is gone.');
  await device.capabilities.sendDtmf?.(asked.dtmf);
  return { command, answer: null };
}
