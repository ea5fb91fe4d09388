import type { Core } from '../../core/index.js';
import type { EdgeSession } from './edge-session.js';
import type { Settling } from './settling.js';

interface MissingParts {
  readonly core: Pick<Core, 'heardBy' | 'connectedDevice'>;
  readonly settling: Pick<Settling, 'isAccounted' | 'isAwaited'>;
  readonly sessions: ReadonlyMap<string, EdgeSession>;
  readonly sessionOf: (deviceId: string) => EdgeSession | undefined;
  /** Whether a participant has a device of the leader before that may still come. */
  readonly isMissing: (participantId: string) => boolean;
}

/**
 * Devices of the leader before that have not come, while the others are told already what they receive: what these received of
 * them stays.
 */
export class MissingDevices {
  readonly #parts: MissingParts;

  constructor(parts: MissingParts) {
    this.#parts = parts;
  }

  /** Whom a participant hears whose device may still come, or has come and may not have said what it publishes. */
  heardBy(participantId: string): readonly string[] {
    const { core, settling, sessionOf, isMissing } = this.#parts;
    if (settling.isAccounted) return [];
    return core.heardBy(participantId).filter((id) => {
      const device = core.connectedDevice(id);
      if (!device) return isMissing(id);
      const session = sessionOf(device.id);
      return session !== undefined && settling.isAwaited(session.edgeId);
    });
  }

  /** Looks again who is missing. @param participantId one that has changed; absent: any may have */
  lookAgain(participantId?: string): void {
    if (participantId !== undefined && this.#parts.settling.isAccounted) return;
    for (const session of this.#parts.sessions.values())
      for (const device of session.devices.values()) device.lookForMissing(participantId);
  }
}
