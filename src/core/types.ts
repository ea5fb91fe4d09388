/** What a participant may publish, and what a stream is made of. REST and the browsers' protocol write it in upper case. */
export type MediaType = 'audio' | 'video';

/** Events that an application gets only if it asks for them. */
export type AskedEvent = 'hold' | 'callFailed' | 'speaking' | 'announcement';

/** Why a participant hears nobody: it is in no session, nobody else in it is connected, or nobody else publishes audio. */
export type WaitingReason = 'no-session' | 'alone' | 'nobody-publishes';

/** What phones hear while they hear nobody. */
export interface WaitingMusic {
  /** Absent: as the gateway is configured. */
  readonly mediaUrl?: string | undefined;
  /** When it is played; empty: never. */
  readonly when: readonly WaitingReason[];
}

/** The browser protocol that a participant's token asks for. */
export type DeviceApiVersion = 'V3' | 'V2';

/** One entry of a subscription: all streams of a participant, or just some aliases of it. */
export interface ParticipantSubscription {
  readonly participantId: string;
  /** Absent or empty: all streams of that participant. */
  readonly streamAliases?: readonly string[];
}

/**
 * What a participant asked to receive.
 * `participants` with entries: exactly those. Otherwise `sessionId`: everyone, now and later. Neither: nothing.
 */
export interface Subscriptions {
  readonly sessionId?: string;
  readonly participants?: readonly ParticipantSubscription[];
}

/** Groups at most 20 participants. */
export interface Session {
  readonly id: string;
  readonly accountId: string;
  readonly tag?: string | undefined;
  /** Whether those in it hear quiet and loud talkers at about the same loudness; absent: as the gateway is configured. */
  readonly levelling?: boolean | undefined;
  /** What phones in it hear while they hear nobody; absent: as the gateway is configured. */
  readonly waitingMusic?: WaitingMusic | undefined;
  /** Whether a tone tells who enters and leaves; absent: as the gateway is configured. */
  readonly joinTones?: boolean | undefined;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Epoch milliseconds; it is deleted then. */
  readonly expiresAt: number;
}

/** A person or program; in at most one session. */
export interface Participant {
  readonly id: string;
  readonly accountId: string;
  readonly publishPermissions: readonly MediaType[];
  readonly deviceApiVersion: DeviceApiVersion;
  readonly tag?: string | undefined;
  readonly callbackUrl?: string | undefined;
  /** Optional events that its application asked for. */
  readonly events: readonly AskedEvent[];
  /** Whether phones hear it without its noise; absent: as the gateway is configured for its kind of device. */
  readonly noiseSuppression?: boolean | undefined;
  /** The session it is in. */
  readonly sessionId?: string | undefined;
  readonly subscriptions: Subscriptions;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** One stream that a device publishes, as the device announces it. */
export interface PublishedStream {
  /** Made by the media plane, unique across the gateway. */
  readonly streamId: string;
  readonly alias?: string;
  readonly mediaTypes: readonly MediaType[];
}

/** What is said in a stream. */
export interface StreamSpeech {
  readonly isSpeaking: boolean;
  /** Level of the speech so far, in dB relative to full scale. */
  readonly levelDb?: number;
}

/** One stream that a device is to receive. */
export interface DeliveredStream extends PublishedStream {
  /** Who publishes it; of an announcement, the receiver itself, since browsers' clients require a participant. */
  readonly participantId: string;
  /** The gateway itself plays it: while it is heard in a mix, all else is lower. */
  readonly announcement?: true;
  /** Mixes are to have it without its noise. */
  readonly noiseSuppression?: true;
}

/** The full set of streams that a device receives at a moment. Ordered by the time of publishing. */
export type Delivery = readonly DeliveredStream[];

/** A track of a delivery that the device cannot be sent. */
export interface OmittedTrack {
  readonly streamId: string;
  readonly mediaType: MediaType;
  /** Why, in words. */
  readonly reason: string;
}

/** Each folder under `devices/` names its own, such as `browser` or `phone`, and registers it with `DeviceGate`. */
export type DeviceKind = string;

/** Why a device's connection ended; goes into usage records and decides how the device is told. */
export type EndReason =
  /** The device itself left: page's `leave`, phone's BYE. */
  | 'left'
  /** Signalling was lost and did not come back within the grace time. */
  | 'lost'
  /** No media came for too long. */
  | 'media-timeout'
  /** Another device of the same participant took its place. */
  | 'replaced'
  /** The application disconnected the device. */
  | 'disconnected'
  | 'participant-deleted'
  | 'session-deleted'
  | 'expired'
  | 'max-duration'
  /** The gateway is draining or stopping. */
  | 'shutdown'
  /** The gateway died; set at its next start. */
  | 'crashed'
  | 'error';

/** Facts about a device that usage records and REST show. */
export interface DeviceInfo {
  /** Unique across the gateway; made by whoever creates the device. */
  readonly id: string;
  readonly kind: DeviceKind;
  /** The device's own id (browser: `uniqueId`, phone: Call-ID); webhooks carry it. */
  readonly externalId: string;
  readonly direction: 'inbound' | 'outbound';
  /** Phones: number or user part of the caller, as presented. */
  readonly caller?: string;
  /** Phones: display name of the caller. */
  readonly callerName?: string;
  /** Phones: number or user part that was called. */
  readonly called?: string;
  /** Phones: the headers of the INVITE that the operator wants shown, by their configured names. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The gateway itself calls, to try whether calls work. */
  readonly test?: true;
}

/** How media are carried in one direction. */
export interface MediaFormat {
  /** SDP names of the codecs, such as `PCMU` or `opus`. */
  readonly codecs: readonly string[];
  /** The crypto suite (RFC 4568 section 6.2), `DTLS-SRTP`, or `none`. */
  readonly encryption: string;
}

/** How a device's media are carried; a direction is absent as long as nothing is agreed for it. */
export interface MediaFormats {
  /** What the gateway receives from the device. */
  readonly received?: MediaFormat | undefined;
  /** What the gateway sends to it. */
  readonly sent?: MediaFormat | undefined;
}

/** How the audio of one direction fares, since the device was opened. What was not measured is absent. */
export interface DirectionQuality {
  readonly packets: number;
  readonly lost?: number;
  /** Packets that came, but not in time to be played. */
  readonly discarded?: number;
  readonly jitterMs?: number;
  readonly roundTripMs?: number;
  /** Audio that was made up in place of missing packets. */
  readonly concealedMs?: number;
  /** Speech, in dB relative to full scale. */
  readonly levelDb?: number;
  /** Mean opinion score by the E-model, 1 to 4.5. */
  readonly mos?: number;
  /** `mos` rests on values that are not of the ITU. */
  readonly mosIsEstimate?: boolean;
}

/** How a device's audio fares. */
export interface DeviceQuality {
  /** What the gateway receives from the device. */
  readonly received: DirectionQuality;
  /** What the gateway sends to it, as the device reports. */
  readonly sent: DirectionQuality;
}

/** A call that was refused, though it is known for which participant it came. */
export interface FailedCall extends Pick<
  DeviceInfo,
  'id' | 'kind' | 'externalId' | 'direction' | 'caller' | 'callerName' | 'called'
> {
  /** The SIP status of the refusal. */
  readonly status: number;
  /** Why, in words. */
  readonly reason: string;
  /** Names of the audio codecs that the phone offered; empty when it offered none that could be read. */
  readonly codecs: readonly string[];
}

/** How loud a stream is at this moment. */
export interface StreamLoudness {
  readonly streamId: string;
  /** In dB relative to full scale. */
  readonly levelDb: number;
}

/** DTMF digits for a device. */
export interface DtmfDigits {
  /** One or more of `0-9*#A-D`, sent in this order. */
  readonly digits: string;
  /** Length of each digit. Default 100. */
  readonly durationMs?: number;
  /** Pause after each digit. Default 100. */
  readonly gapMs?: number;
}

/**
 * What only some devices can do; one that cannot leaves the member out. The core passes commands on, and answers
 * those that the device cannot do with DEVICE_CANNOT.
 */
export interface DeviceCapabilities {
  /**
   * Queues digits and resolves when they are queued.
   * @throws PatchbayError by rejection: TOO_MANY_REQUESTS when too many wait, DEVICE_NOT_FOUND when the device is gone
   */
  readonly sendDtmf?: (dtmf: DtmfDigits) => Promise<void>;
  /** Headers for the message by which the gateway ends the connection, in place of those given before. */
  readonly setByeHeaders?: (headers: Readonly<Record<string, string>>) => void;
  /** The device can put the session on hold, and reports that by `Connection.hold`. */
  readonly hold?: true;
  /** Is told when somebody begins or ceases to speak in a stream that the device receives. */
  readonly hearSpeech?: (streamId: string, speech: StreamSpeech) => void;
  /** Another gateway goes on with the device: it ends here, and whoever is at its other end is told nothing. */
  readonly takenOver?: () => void;
}

/**
 * One connected end of a participant, as the core sees it. Each folder under `devices/` implements it.
 * Its methods return at once and never throw; the work goes on behind them.
 */
export interface Device {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  /** As they are now; `Connection.formatsChanged` tells of changes. */
  readonly formats: MediaFormats;
  /**
   * The full set of streams to receive; called at connecting when not empty, and whenever it changes.
   * @param levelling as the session says: {@link Session.levelling}
   */
  deliver(delivery: Delivery, levelling?: boolean): void;
  /** Begins or ceases to tell how loud its streams are ({@link Connection.levels}). */
  watchLevels(isWatched: boolean): void;
  /** The core has ended the connection: hang up and free everything. Called at most once. */
  close(reason: EndReason): void;
}

/** What a restarted gateway must know to resume a browser that kept its peer connections. */
export interface ResumePoint {
  /** Kinds of the subscribe m-lines, in their order. */
  readonly layout: readonly ('audio' | 'video')[];
  /** The last `sdpRevision` that the browser was offered. */
  readonly revision: number;
  /** Id of the last call (JSON-RPC) that the browser made; absent: it made none but its first. */
  readonly lastCallId?: number;
}

/** What a device tells the core, from connecting to the end. Calls after the end do nothing. */
export interface Connection {
  readonly participant: Participant;
  /** Replaces the full set of streams that this device publishes. */
  publish(streams: readonly PublishedStream[]): void;
  /** Signalling dropped; media may go on. Applications get `onDisconnect`. {@link signallingResumed} or {@link end} follows. */
  signallingLost(): void;
  signallingResumed(): void;
  /** One DTMF digit (`0-9*#A-D`) that the device sent. */
  dtmf(digit: string, durationMs: number): void;
  /** Somebody begins or ceases to speak in one of the device's streams. */
  speaking(streamId: string, isSpeaking: boolean, levelDb?: number): void;
  /** How loud those of its streams are whose level is known, while that is wanted ({@link Device.watchLevels}). */
  levels(levels: readonly StreamLoudness[]): void;
  /** The device put the session on hold, or took it off hold. */
  hold(held: boolean): void;
  /** `Device.formats` may have changed. */
  formatsChanged(): void;
  /** Replaces what was measured so far. After the end it is taken once more: the last is known only then. */
  measured(quality: DeviceQuality): void;
  /** Replaces the set of tracks of the delivery that this device cannot be sent. */
  omit(tracks: readonly OmittedTrack[]): void;
  /** Keeps, over restarts too, what is needed to serve this device again; see `DeviceGate.resumePoint`. */
  saveResumePoint(point: ResumePoint): void;
  /** The device left or failed. `Device.close` is not called for this. */
  end(reason: EndReason): void;
}
