import type { Clock, Log } from '../shared/index.js';
import type { CoreStore } from './core-store.js';
import type { Limits } from './rules.js';
import type {
  AskedEvent,
  Connection,
  Delivery,
  Device,
  DeviceApiVersion,
  DeviceInfo,
  DeviceKind,
  DeviceQuality,
  DtmfDigits,
  EndReason,
  FailedCall,
  MediaFormats,
  MediaType,
  OmittedTrack,
  Participant,
  PublishedStream,
  ResumePoint,
  Session,
  StreamLoudness,
  StreamSpeech,
  Subscriptions,
  WaitingMusic,
  WaitingReason,
} from './types.js';

/** What an application may give when it creates a session. */
export interface NewSession {
  readonly tag?: string;
  /** Whether those in it hear quiet and loud talkers at about the same loudness. Default: as the gateway is configured. */
  readonly levelling?: boolean;
  /** What phones in it hear while they hear nobody. Default: as the gateway is configured. */
  readonly waitingMusic?: WaitingMusic;
  /** Whether a tone tells who enters and leaves. Default: as the gateway is configured. */
  readonly joinTones?: boolean;
}

/** What an application may give when it creates a participant. */
export interface NewParticipant {
  readonly publishPermissions?: readonly MediaType[];
  readonly deviceApiVersion?: DeviceApiVersion;
  readonly tag?: string;
  readonly callbackUrl?: string;
  readonly events?: readonly AskedEvent[];
  /** Whether phones hear it without its noise. Default: as the gateway is configured for its kind of device. */
  readonly noiseSuppression?: boolean;
}

/** What an application may change of a participant; what is absent stays. */
export type ParticipantChange = Pick<NewParticipant, 'noiseSuppression'>;

/** A connected device, as REST shows it. */
export interface ConnectedDevice {
  readonly info: DeviceInfo;
  readonly connectedAt: number;
  /** Without {@link StreamSpeech} as long as nobody has spoken in it. */
  readonly streams: readonly (PublishedStream & Partial<StreamSpeech>)[];
  readonly delivery: Delivery;
  readonly omitted: readonly OmittedTrack[];
  readonly formats: MediaFormats;
  /** Absent before the first measurement, some seconds after it connected. */
  readonly quality?: DeviceQuality;
  /** Whether it has put the session on hold; absent for a kind of device that cannot. */
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
  /** The `next` of the previous page. */
  readonly cursor?: string;
  /** Items to look at, at most (at least one). A page that ends for this reason may be short, and has a `next`. */
  readonly examine?: number;
}

/**
 * What applications do with sessions and participants. Every change takes effect at once, in memory and at the devices;
 * {@link flush} resolves when it is on disk too. Methods throw `PatchbayError`. While the database takes no writes, those
 * that would change something throw STORE_UNAVAILABLE instead.
 */
export interface SessionControl {
  createSession(accountId: string, options: NewSession): Session;
  session(accountId: string, sessionId: string): Session;
  sessions(accountId: string, options: ListOptions): Page<Session>;
  deleteSession(accountId: string, sessionId: string): void;

  createParticipant(
    accountId: string,
    options: NewParticipant,
  ): { readonly participant: Participant; readonly token: string };
  participant(accountId: string, participantId: string): Participant;
  participants(accountId: string, options: ListOptions): Page<Participant>;
  /** @throws PatchbayError PARTICIPANT_NOT_FOUND, NOISE_SUPPRESSION_FULL */
  updateParticipant(accountId: string, participantId: string, change: ParticipantChange): void;
  deleteParticipant(accountId: string, participantId: string): void;

  members(accountId: string, sessionId: string): readonly Participant[];
  /** Adds a participant to a session. If it is a member already, only its subscriptions are replaced, if any are given. */
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
   * Sets headers for the message with which the gateway will end the connection, whatever the reason.
   * @throws PatchbayError DEVICE_NOT_FOUND, DEVICE_CANNOT
   */
  setByeHeaders(accountId: string, participantId: string, headers: Readonly<Record<string, string>>): void;

  /** Resolves when every change made so far has reached the disk. */
  flush(): Promise<void>;
}

export interface ConnectOptions {
  /** Which device of the participant the new one may replace: any, none, or only the one of this id. */
  readonly replace: boolean | string;
  /**
   * The device goes on from an earlier gateway, to which it connected then (epoch milliseconds): `carriedOver` is
   * emitted instead of `connected`, and limits are not checked again.
   */
  readonly carriedSince?: number;
  /** With `carriedSince`: the device has put the session on hold, and the application was told so. */
  readonly held?: boolean;
  /** With `carriedSince`: its signalling is lost, and the application was told so. */
  readonly signallingLost?: boolean;
}

/** The part of the core that decides about devices, at once. */
export interface DeviceControl {
  /** Makes a kind of device known, so that `counts` has it, with 0, before the first one connects. */
  registerKind(kind: DeviceKind): void;
  /** Whether a token is valid now and stands for a participant, as far as is known here. */
  recognizes(token: string): boolean;
  /**
   * The participant that a token stands for.
   * @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED, PARTICIPANT_NOT_FOUND
   */
  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Participant;
  /**
   * Connects a device, in place of one that it may replace, which is closed as `replaced`.
   * @throws PatchbayError PARTICIPANT_NOT_FOUND, ALREADY_CONNECTED, DEVICE_NOT_FOUND when the one to be replaced is gone,
   *   TOO_MANY_CALLS, STORE_UNAVAILABLE, SHUTTING_DOWN
   */
  connect(participantId: string, device: Device, options: ConnectOptions): Connection;
  /**
   * Checks the account's limit of devices, before a call costs much work; `connect` checks it again.
   * @throws PatchbayError TOO_MANY_CALLS
   */
  admitDevice(participant: Pick<Participant, 'id' | 'accountId'>): void;
  /** A participant that has not been deleted. */
  participantOf(participantId: string): Participant | undefined;
  /** Reports a call that was refused, for the account to see. Nothing happens when the participant is gone. */
  callFailed(participantId: string, call: FailedCall): void;
  /** The device that a participant has connected now. */
  connectedDevice(participantId: string): DeviceInfo | undefined;
  /** The other members of a participant's session whom it hears by its subscriptions, whether they have devices or not. */
  heardBy(participantId: string): readonly string[];
  /**
   * The last that was saved by `Connection.saveResumePoint`, unless the connection ended for a reason after which the
   * device cannot resume (`mayResume`). Survives a restart of the gateway.
   */
  resumePoint(participantId: string, externalId: string): ResumePoint | undefined;
  /** As {@link SessionControl.flush}. */
  flush(): Promise<void>;
}

/** A connection that the core may still refuse. */
export interface AskedConnection extends Connection {
  /**
   * Resolves when the core has the device. Rejects with what {@link DeviceControl.connect} throws: then nothing was
   * connected, and `Device.close` is not called.
   */
  readonly admitted: Promise<void>;
}

/**
 * What devices see of the core. The core may be in another process: what it decides comes later. The methods do as those of
 * {@link DeviceControl} do.
 */
export interface DeviceGate {
  registerKind(kind: DeviceKind): void;
  recognizes(token: string): boolean;
  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Promise<Participant>;
  /** What the device reports may be told to the connection at once. */
  connect(participant: Participant, device: Device, options: ConnectOptions): AskedConnection;
  admitDevice(participant: Pick<Participant, 'id' | 'accountId'>): Promise<void>;
  participantOf(participantId: string): Promise<Participant | undefined>;
  callFailed(participant: Pick<Participant, 'id' | 'accountId'>, call: FailedCall): void;
  connectedDevice(participantId: string): Promise<DeviceInfo | undefined>;
  resumePoint(participantId: string, externalId: string): Promise<ResumePoint | undefined>;
  flush(): Promise<void>;
}

/** What became of an announcement, as its receiver's application is told. */
export interface AnnouncementReport {
  readonly announcementId: string;
  readonly state: 'STARTED' | 'ENDED' | 'STOPPED' | 'FAILED';
  /** With FAILED: why, in words. */
  readonly cause?: string;
}

/** The part of the core by which the gateway's own sound reaches devices. */
export interface AnnouncementGate {
  /**
   * Replaces the announcements that a participant's device receives, beside the streams of others. They go with the
   * device. Nothing happens when it has none.
   */
  announce(participantId: string, streamIds: readonly string[]): void;
  /** Tells the participant's application, by the event `announcement`. Nothing happens when no device is connected. */
  report(participantId: string, report: AnnouncementReport): void;
  /** Why a connected participant hears nobody; undefined when that is otherwise, or when it is not connected. */
  waitingReason(participantId: string): WaitingReason | undefined;
  /** Connected participants of a session that hear another one, or would if that published. */
  hearersOf(participantId: string, sessionId: string): readonly string[];
  /** Connected participants of a session. */
  connectedIn(sessionId: string): readonly string[];
  /** All connected participants. */
  connected(): readonly string[];
  session(sessionId: string): Session | undefined;
}

/** Events of devices, for webhooks and usage records. Each is emitted after the state has changed. */
export interface CoreEvents {
  connected: [event: DeviceEvent];
  /** A device of an earlier gateway goes on. `at` is when it connected then. */
  carriedOver: [event: DeviceEvent];
  /** Signalling dropped; `left` follows if it does not come back. */
  signallingLost: [event: DeviceEvent];
  /** Exactly once for each `connected`, also when it was carried over in between. */
  left: [event: DeviceEvent & { readonly reason: EndReason }];
  /** The device's participant entered, changed or left its session while connected. */
  moved: [event: DeviceEvent];
  /** The device put the session on hold. */
  held: [event: DeviceEvent];
  resumed: [event: DeviceEvent];
  /** The device's media are carried in another way than before. */
  formatsChanged: [event: DeviceEvent];
  /** What was measured in all, once after `left`; not for a device of which nothing was. */
  measured: [event: DeviceEvent & { readonly quality: DeviceQuality }];
  /** A call was refused; its device never connected. */
  callFailed: [event: { readonly at: number; readonly participant: Participant; readonly call: FailedCall }];
  /** Somebody begins or ceases to speak in a stream of the device. */
  speaking: [event: DeviceEvent & StreamSpeech & Pick<PublishedStream, 'streamId' | 'alias'>];
  /** How loud a device's streams are now, several times a second while its session is watched. */
  levels: [
    event: {
      readonly participant: Participant;
      readonly levels: readonly StreamLoudness[];
    },
  ];
  dtmf: [event: DeviceEvent & { readonly digit: string; readonly durationMs: number }];
  /** What became of an announcement for the device. */
  announcement: [event: DeviceEvent & AnnouncementReport];
  /** Who is connected in a session, or what they publish, may have changed. */
  audienceChanged: [sessionId: string];
  /** `deleted`: also when it expired. */
  sessionChanged: [
    event: { readonly at: number; readonly change: 'created' | 'deleted'; readonly session: Session },
  ];
  /** `updated`: its session, subscriptions or another property. */
  participantChanged: [
    event: {
      readonly at: number;
      readonly change: 'created' | 'updated' | 'deleted';
      readonly participant: Participant;
      readonly session?: Session | undefined;
    },
  ];
  /** The device publishes exactly these streams from now on. */
  streamsChanged: [event: DeviceEvent & { readonly streams: readonly PublishedStream[] }];
  /** The device receives exactly these streams from now on. */
  delivered: [event: DeviceEvent & { readonly delivery: Delivery }];
  /** How the device's audio fares was measured again. */
  qualityMeasured: [event: DeviceEvent];
}

export interface DeviceEvent {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly device: DeviceInfo;
  readonly participant: Participant;
  readonly session?: Session;
  /** The last known of each direction: a device that receives nothing any more keeps its last. */
  readonly formats: MediaFormats;
  /** The last that was measured so far; absent before the first measurement. */
  readonly quality?: DeviceQuality;
}

/** The session core: the commands of applications, the connections of devices, and the events of both. */
export interface Core extends SessionControl, DeviceControl {
  readonly announcements: AnnouncementGate;
  /**
   * Another token of a participant, for a call of the gateway's own.
   * @throws PatchbayError PARTICIPANT_NOT_FOUND
   */
  tokenOf(accountId: string, participantId: string): string;
  on<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void;
  off<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void;
  /** Has the event `levels` emitted for the devices in a session, until the returned function is called; several may watch. */
  watchLevels(sessionId: string): () => void;
  counts(): CoreCounts;
  memory(): CoreMemory;
  /** From now on `connect` throws SHUTTING_DOWN; connected devices stay. */
  drain(): void;
  /** Ends all devices as `shutdown` and resolves when everything is on disk. */
  stop(): Promise<void>;
  /** Ends no device: another leader goes on with those of other gateways. Resolves when everything is on disk. */
  handOver(): Promise<void>;
}

export interface CoreCounts {
  readonly sessions: number;
  readonly participants: number;
  /** Connected devices of each kind. */
  readonly devices: Readonly<Record<DeviceKind, number>>;
  /** Devices that were refused because their account had reached its limit. */
  readonly devicesRefused: number;
  /** Participants whose noise is suppressed, and how often that was refused. */
  readonly noiseSuppressions: number;
  readonly noiseSuppressionsRefused: number;
}

export interface CoreMemory {
  /** Size of what the core keeps, estimated. */
  readonly bytes: number;
  /** How many changes were refused for the limits of bytes. */
  readonly refused: number;
}

export interface CoreOptions {
  /** Signs the participants' tokens; fewer than 32 bytes are accepted with a warning. */
  readonly tokenSecret: string;
  readonly store: CoreStore;
  readonly clock?: Clock;
  /** Those that differ from `DEFAULT_CORE_LIMITS`. */
  readonly limits?: Partial<Limits>;
  /** Kinds of devices whose noise is suppressed unless their participants say otherwise. Default: none. */
  readonly suppressedKinds?: readonly DeviceKind[];
  readonly log: Log;
}
