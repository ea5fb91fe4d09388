import type {
  AskedEvent,
  Connection,
  Delivery,
  Device,
  DeviceApiVersion,
  DeviceInfo,
  DeviceKind,
  DtmfDigits,
  EndReason,
  MediaType,
  OmittedTrack,
  Participant,
  PublishedStream,
  ResumePoint,
  Session,
  Subscriptions,
} from './types.js';

/** What an application may give when it creates a participant. */
export interface NewParticipant {
  readonly publishPermissions?: readonly MediaType[];
  readonly deviceApiVersion?: DeviceApiVersion;
  readonly tag?: string;
  readonly callbackUrl?: string;
  readonly events?: readonly AskedEvent[];
}

/** A device that is connected now, for those who look. */
export interface ConnectedDevice {
  readonly info: DeviceInfo;
  readonly connectedAt: number;
  readonly streams: readonly PublishedStream[];
  readonly delivery: Delivery;
  readonly omitted: readonly OmittedTrack[];
  /** It put the session on hold; absent: it is of a kind that cannot. */
  readonly held?: boolean;
}

/** One page of a listing; `next` continues it and is absent on the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

export interface ListOptions {
  readonly tag?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly cursor?: string;
  /** Look at no more than so many, at least one: the page may be short then, and have a `next` for all that. */
  readonly examine?: number;
}

/**
 * Sessions and participants as an application steers them. Everything takes effect at once, in memory and at
 * the devices; {@link flush} tells when it is on disk too. Methods throw `PatchbayError`; those that change something
 * throw STORE_UNAVAILABLE, and change nothing, while the disk takes no writes.
 */
export interface SessionControl {
  createSession(accountId: string, options: { readonly tag?: string }): Session;
  session(accountId: string, sessionId: string): Session;
  sessions(accountId: string, options: ListOptions): Page<Session>;
  deleteSession(accountId: string, sessionId: string): void;

  createParticipant(
    accountId: string,
    options: NewParticipant,
  ): { readonly participant: Participant; readonly token: string };
  participant(accountId: string, participantId: string): Participant;
  participants(accountId: string, options: ListOptions): Page<Participant>;
  deleteParticipant(accountId: string, participantId: string): void;

  members(accountId: string, sessionId: string): readonly Participant[];
  /** A member again: stays, and `subscriptions`, when given, replace its own. */
  addToSession(
    accountId: string,
    sessionId: string,
    participantId: string,
    subscriptions?: Subscriptions,
  ): void;
  /** Its device stays connected, outside of the session. */
  removeFromSession(accountId: string, sessionId: string, participantId: string): void;
  subscriptions(accountId: string, sessionId: string, participantId: string): Subscriptions;
  setSubscriptions(
    accountId: string,
    sessionId: string,
    participantId: string,
    subscriptions: Subscriptions,
  ): void;

  device(accountId: string, participantId: string): ConnectedDevice | undefined;
  /** Ends the connection of a participant's device without deleting the participant. */
  disconnectDevice(accountId: string, participantId: string): void;
  /**
   * Sends DTMF digits to a participant's device; resolves when they are queued.
   * @throws PatchbayError by rejection: DEVICE_NOT_FOUND, DEVICE_CANNOT, TOO_MANY_REQUESTS
   */
  sendDtmf(accountId: string, participantId: string, dtmf: DtmfDigits): Promise<void>;
  /**
   * Sets the headers of the message by which the gateway ends the connection, for whatever reason.
   * @throws PatchbayError DEVICE_NOT_FOUND, DEVICE_CANNOT
   */
  setByeHeaders(accountId: string, participantId: string, headers: Readonly<Record<string, string>>): void;

  /** Resolves when every change made so far has reached the disk. */
  flush(): Promise<void>;
}

/** Where devices come in. */
export interface DeviceGate {
  /** Names a kind of device, so that it is counted before the first one connects, as 0. */
  registerKind(kind: DeviceKind): void;
  /**
   * The participant that a token stands for.
   * @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED, PARTICIPANT_NOT_FOUND
   */
  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Participant;
  /**
   * Connects a device. With `replace`, a device that the participant has already is closed as `replaced`.
   * @throws PatchbayError PARTICIPANT_NOT_FOUND, ALREADY_CONNECTED, TOO_MANY_CALLS, STORE_UNAVAILABLE, SHUTTING_DOWN
   */
  connect(participantId: string, device: Device, options: { readonly replace: boolean }): Connection;
  /**
   * Whether `connect` would have room for a device of that participant, to be asked before much is done for it.
   * @throws PatchbayError TOO_MANY_CALLS when its account has as many devices as it may
   */
  admitDevice(participant: Pick<Participant, 'id' | 'accountId'>): void;
  /** The connection of a participant's device now, for re-attaching. */
  connectedDevice(participantId: string): DeviceInfo | undefined;
  /**
   * What was kept last by `Connection.saveResumePoint` for a device that did not end by being told to:
   * it may come back, also after a restart of the gateway.
   */
  resumePoint(participantId: string, externalId: string): ResumePoint | undefined;
  /** As {@link SessionControl.flush}. */
  flush(): Promise<void>;
}

/** What happens to devices, for webhooks and usage records. Each is emitted after the state has changed. */
export interface CoreEvents {
  connected: [event: DeviceEvent];
  /** Signalling dropped; `left` follows if it does not come back. */
  signallingLost: [event: DeviceEvent];
  /** Exactly once for each `connected`. */
  left: [event: DeviceEvent & { readonly reason: EndReason }];
  /** The device's participant entered, changed or left its session while connected. */
  moved: [event: DeviceEvent];
  /** The device put the session on hold. */
  held: [event: DeviceEvent];
  resumed: [event: DeviceEvent];
  dtmf: [event: DeviceEvent & { readonly digit: string; readonly durationMs: number }];
}

export interface DeviceEvent {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly device: DeviceInfo;
  readonly participant: Participant;
  readonly session?: Session;
}

/** The session core: what applications steer, what devices connect to, and what tells of both. */
export interface Core extends SessionControl, DeviceGate {
  on<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void;
  off<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void;
  /** How much there is now. */
  counts(): CoreCounts;
  memory(): CoreMemory;
  /** From now on `connect` is refused with SHUTTING_DOWN; what is connected stays. */
  drain(): void;
  /** Ends all devices as `shutdown` and resolves when everything is on disk. */
  stop(): Promise<void>;
}

export interface CoreCounts {
  readonly sessions: number;
  readonly participants: number;
  /** Connected devices of each kind. */
  readonly devices: Readonly<Record<DeviceKind, number>>;
  /** Devices that were refused, since their account had as many as it may. */
  readonly devicesRefused: number;
}

export interface CoreMemory {
  /** What the core keeps, estimated. */
  readonly bytes: number;
  /** How often something was refused for its bytes. */
  readonly refused: number;
}
