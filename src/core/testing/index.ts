import { type ErrorCode, PatchbayError } from '../errors.js';
import { randomUUID } from 'node:crypto';
import type { Core, SessionControl } from '../core.js';
import type { CoreOptions } from '../core.js';
import { createCore } from '../session-core.js';
import { MemoryStore } from '../core-store.js';
import type {
  Connection,
  Delivery,
  Device,
  DeviceCapabilities,
  DeviceInfo,
  DeviceKind,
  EndReason,
  MediaFormats,
} from '../types.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';

export const ACCOUNT = '9900000';
export const TOKEN_SECRET = 'a secret of more than thirty-two bytes';

/** A core in memory with a clock that the test turns. */
export function coreForTests(options: Partial<CoreOptions> = {}): { core: Core; clock: FakeClock } {
  const clock = new FakeClock();
  const core = createCore({
    tokenSecret: TOKEN_SECRET,
    store: new MemoryStore(),
    clock,
    log: silentLog,
    ...options,
  });
  return { core, clock };
}

/** A device that writes down what it is told. */
export class FakeDevice implements Device {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  formats: MediaFormats = {};
  readonly deliveries: Delivery[] = [];
  /** What its session said about levels, with each delivery. */
  readonly levelling: (boolean | undefined)[] = [];
  readonly closed: EndReason[] = [];
  /** Whether its levels are wanted, each time that it was told. */
  readonly watched: boolean[] = [];

  constructor(id: string, kind: DeviceKind = 'browser', capabilities: DeviceCapabilities = {}) {
    this.info = { id, kind, externalId: `external-${id}`, direction: 'inbound' };
    this.capabilities = capabilities;
  }

  deliver(delivery: Delivery, levelling?: boolean): void {
    this.deliveries.push(delivery);
    this.levelling.push(levelling);
  }

  watchLevels(isWatched: boolean): void {
    this.watched.push(isWatched);
  }

  close(reason: EndReason): void {
    this.closed.push(reason);
  }

  /** Stream ids of what it receives now. */
  get receiving(): readonly string[] {
    return (this.deliveries.at(-1) ?? []).map((stream) => stream.streamId);
  }
}

/** A participant that may publish everything. */
export function newParticipant(core: SessionControl): string {
  const options = { publishPermissions: ['audio', 'video'] } as const;
  return core.createParticipant(ACCOUNT, options).participant.id;
}

/** Connects a fake device that publishes one audio stream named after the participant. */
export function connectTalking(
  core: Core,
  participantId: string,
): { device: FakeDevice; connection: Connection } {
  const device = new FakeDevice(randomUUID());
  const connection = core.connect(participantId, device, { replace: true });
  connection.publish([{ streamId: participantId, mediaTypes: ['audio'] }]);
  return { device, connection };
}

/** The code of the error that a call throws; undefined if it throws none. */
export function codeOf(act: () => unknown): ErrorCode | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof PatchbayError) return error.code;
    throw error;
  }
}

/** A session with two members that hear each other. */
export function conversation(options?: Parameters<typeof coreForTests>[0]) {
  const { core, clock } = coreForTests(options);
  const session = core.createSession(ACCOUNT, {}).id;
  const [ann, bob] = [newParticipant(core), newParticipant(core)];
  core.addToSession(ACCOUNT, session, ann, { sessionId: session });
  core.addToSession(ACCOUNT, session, bob, { sessionId: session });
  return { core, clock, session, ann, bob };
}
