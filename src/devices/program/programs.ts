import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { DeviceGate } from '../../core/index.js';
import type { ProgramDoor } from '../../media/index.js';
import { type Clock, type Log, systemClock } from '../../shared/index.js';
import { ProgramDevice, type ProgramHooks, type ProgramParts } from './program-device.js';
import type { CarriedProgram, ProgramIdentity } from './program-identity.js';
import { DIALECTS } from './dialects/index.js';
import { DEFAULT_PROGRAM_LIMITS, type ProgramLimits } from './limits.js';
import { ProgramSocket } from './program-socket.js';

export interface ProgramsOptions {
  readonly gate: DeviceGate;
  readonly media: ProgramDoor;
  /** How long a program without a socket is kept, in ms. */
  readonly graceMs: number;
  readonly log: Log;
  readonly clock?: Clock;
  /** Limits that differ from `DEFAULT_PROGRAM_LIMITS`. */
  readonly limits?: Partial<ProgramLimits>;
}

/** The program devices of the gateway, however they were connected. */
export class Programs {
  readonly parts: ProgramParts;
  readonly #byParticipant = new Map<string, ProgramDevice>();
  /** Also those that another one of their participants has just replaced. */
  readonly #all = new Set<ProgramDevice>();

  constructor({ gate, media, graceMs, log, clock = systemClock, limits }: ProgramsOptions) {
    gate.registerKind('program');
    this.parts = {
      gate,
      media,
      clock,
      limits: { ...DEFAULT_PROGRAM_LIMITS, ...limits },
      graceMs,
      totals: { badMessages: 0, abusiveSockets: 0, droppedMs: 0, overflowMs: 0 },
      log,
    };
  }

  get size(): number {
    return this.#all.size;
  }

  of(participantId: string): ProgramDevice | undefined {
    return this.#byParticipant.get(participantId);
  }

  /**
   * Connects a program. It may end while it is made.
   */
  connect(
    identity: ProgramIdentity,
    { refused, ended }: ProgramHooks = { refused: () => undefined, ended: () => undefined },
  ): ProgramDevice {
    const id = identity.carried?.device.deviceId ?? randomUUID();
    const device = new ProgramDevice(id, identity, this.parts, {
      refused,
      ended: (over, reason) => {
        this.#all.delete(over);
        if (this.of(over.participantId) === over) this.#byParticipant.delete(over.participantId);
        ended(over, reason);
      },
    });
    this.#all.add(device);
    this.#byParticipant.set(device.participantId, device);
    return device;
  }

  /**
   * Goes on with a program of an earlier gateway.
   * @returns undefined when its participant is gone: `MediaPlane.releaseCarried` closes its media
   */
  async goOn(carried: CarriedProgram, hooks?: ProgramHooks): Promise<ProgramDevice | undefined> {
    const { dialect, participantId, ...format } = carried.note;
    const participant = await this.parts.gate.participantOf(participantId);
    if (!participant || carried.device.streams.length === 0) return undefined;
    const device = this.connect({ ...format, dialect: DIALECTS[dialect], participant, carried }, hooks);
    device.log.info({}, 'A program of the previous gateway goes on.');
    return device;
  }

  /** Has a device speak with its program on a socket that is open. */
  attach(device: ProgramDevice, socket: WebSocket): void {
    const { clock, limits, totals } = this.parts;
    const conversation = device.identity.dialect.converse();
    const { log } = device;
    device.attach(new ProgramSocket({ socket, conversation, user: device, limits, clock, log, totals }));
  }

  /** Ends all devices because the gateway stops. */
  stop(): void {
    for (const device of [...this.#all]) device.leave('shutdown');
  }
}
