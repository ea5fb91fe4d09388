import type {
  AnySpec,
  BrowserSpec,
  DeviceStatistics,
  FileSpec,
  MediaDelivery,
  MediaDtmf,
  MediaStreamInfo,
  OmittedMediaTrack,
  PhoneDescription,
  PhoneSource,
  PhoneSpec,
  ProgramSpec,
  PublishAnswer,
  PublishOfferOptions,
  StreamLevelInfo,
  SubscribeOffer,
} from './types.js';

/**
 * The media plane's one door. Everything that crosses it is plain data: a device is opened by a spec, each request of
 * its handle could be a message, and so could each event that its listener gets. So the plane can run in this process
 * or in another. Ids are the caller's; SDP is text; nothing here knows participants.
 */

/** `abuse`: the transport was closed because too much came. */
export type MediaLossCause = 'transport' | 'timeout' | 'abuse';

/** Events of a device of any kind. */
export type DeviceMediaEvent =
  /** The streams of the device changed, though it made no offer. */
  | { readonly type: 'streams'; readonly streams: readonly MediaStreamInfo[] }
  /** A DTMF digit (`0-9*#A-D`) came in the device's audio, once for each key press. */
  | { readonly type: 'dtmf'; readonly digit: string; readonly durationMs: number }
  /**
   * A connected transport fell silent or is gone, or no media came for the configured time. A browser may
   * come back: then the next loss is reported too.
   */
  | { readonly type: 'mediaLost'; readonly cause: MediaLossCause }
  /**
   * The first sign of life: RTP, or for browsers also RTCP or a heartbeat. Browsers: again after each
   * `silent`.
   */
  | { readonly type: 'heard' }
  /**
   * Somebody begins or ceases to speak in a stream of the device. Told within 200 ms of the beginning, and 0.6 s (of a
   * browser that sends nothing any more, 1.6 s) after the end, as pauses between words are none.
   */
  | {
      readonly type: 'speaking';
      readonly streamId: string;
      readonly isSpeaking: boolean;
      /** Level of the stream's speech so far, in dB relative to full scale; absent when the process knows of none. */
      readonly levelDb?: number;
    }
  /**
   * How loud what the device publishes is now, every {@link LEVELS_INTERVAL_MS} while it is watched
   * ({@link DeviceHandle.watchLevels}); once without any when nothing is heard of its streams any more.
   */
  | { readonly type: 'levels'; readonly levels: readonly StreamLevelInfo[] }
  /** Every {@link STATISTICS_INTERVAL_MS} while the device is open, and once more when it is closed. */
  | { readonly type: 'statistics'; readonly statistics: DeviceStatistics };

export type BrowserMediaEvent =
  | DeviceMediaEvent
  /** Send the offer to the browser, and pass its answer to {@link BrowserHandle.answerSubscribe}. */
  | { readonly type: 'subscribeOffer'; readonly offer: SubscribeOffer }
  /** The tracks of the delivery that cannot be sent to the device changed. */
  | { readonly type: 'tracksOmitted'; readonly tracks: readonly OmittedMediaTrack[] }
  /**
   * Nothing came from the browser for `silentMs` (four to five seconds). `mediaLost` follows when the silence
   * is too long for a browser that is still there.
   */
  | { readonly type: 'silent'; readonly silentMs: number };

export type PhoneMediaEvent =
  | DeviceMediaEvent
  /**
   * The phone's media must be negotiated again: send the phone the offer that {@link PhoneHandle.update}
   * returns without an argument, and pass its answer to {@link PhoneHandle.answer}.
   */
  | { readonly type: 'renegotiate' }
  /**
   * What {@link PhoneSpec.restored} needs to go on with the phone's media after their process died, as JSON of 3 kB at
   * most. It comes after each description, when the phone's address is found or its codec changes, and now and then.
   * It contains keys: keep it secret. `host` names the media host ({@link MediaHosts.ids}), if there is one.
   */
  | { readonly type: 'state'; readonly state: string; readonly host?: string };

export type ProgramMediaEvent =
  | DeviceMediaEvent
  /** 20 ms of what it receives: its mix or, with `streamId`, one stream. The buffer is the listener's. */
  | { readonly type: 'audio'; readonly streamId?: string; readonly pcm: Buffer }
  /** A key was pressed by a device whose stream it receives. */
  | { readonly type: 'digit'; readonly streamId: string; readonly digit: string; readonly durationMs: number }
  /** All that was played before {@link ProgramHandle.mark} has been sent, or was cleared. */
  | { readonly type: 'played'; readonly mark: string }
  /** So much audio found no room in the queue and is lost; told at most once a second. */
  | { readonly type: 'overflow'; readonly droppedMs: number }
  /** The media host died: what waited to be played is lost, and marks are not answered any more. */
  | { readonly type: 'interrupted' };

export type FileMediaEvent =
  | DeviceMediaEvent
  /** Its listener hears it from now on. */
  | { readonly type: 'started' }
  /** It has been played to its end. */
  | { readonly type: 'ended' };

/**
 * Gets the events of one device. After a call of {@link DeviceHandle.close} it gets only the last statistics.
 */
export type MediaListener<Event> = (event: Event) => void;

/** Gets the events of a device of whatever kind. */
export type AnyMediaListener = MediaListener<BrowserMediaEvent> &
  MediaListener<PhoneMediaEvent> &
  MediaListener<ProgramMediaEvent> &
  MediaListener<FileMediaEvent>;

/** Requests to a device of any kind. */
export interface DeviceHandle {
  /**
   * Replaces the full set of streams that the device receives. Unknown streams are ignored until published. Nothing
   * happens once it is closed.
   */
  setDelivery(delivery: readonly MediaDelivery[]): Promise<void>;
  /**
   * Keeps an opaque text with the device, in place of the one before: it outlives this gateway as long as the
   * device's process lives ({@link MediaPlane.carried}).
   * @throws MediaError by rejection: NOTE_TOO_LONG (more than {@link MAX_NOTE_BYTES} of UTF-8)
   */
  keep(note: string): Promise<void>;
  /**
   * Begins or ceases to push `levels`, and to decode what has to be decoded for them. They cease with the gateway. Nothing
   * happens once it is closed.
   */
  watchLevels(isWatched: boolean): void;
  /** Frees everything of the device, also while it is being opened: `opened` is rejected with INVALID_STATE then. */
  close(): Promise<void>;
}

/**
 * A browser's end in the media plane. Requests made while it is being opened wait for that; once it is closed they are
 * rejected with UNKNOWN_DEVICE.
 */
export interface BrowserHandle extends DeviceHandle {
  /** @throws MediaError by rejection: NO_PORT, INVALID_STATE */
  readonly opened: Promise<void>;
  /** Takes the browser's publish offer: the full description of what it publishes from now on. */
  publish(options: PublishOfferOptions): Promise<PublishAnswer>;
  /** Takes the answer to the outstanding subscribe offer. */
  answerSubscribe(sdpAnswer: string): Promise<void>;
  /** The browser's socket is back: offers that were lost with the old one are made again. */
  resume(): Promise<void>;
}

/**
 * A phone's end in the media plane; its requests wait and are rejected like those of a {@link BrowserHandle}.
 */
export interface PhoneHandle extends DeviceHandle {
  /** @throws MediaError by rejection: BAD_SDP, NO_COMMON_CODEC, NO_COMMON_TRANSPORT, NO_PORT, INVALID_STATE */
  readonly opened: Promise<PhoneDescription>;
  /** Answer of the phone to our offer (late offer). */
  answer(sdpAnswer: string): Promise<PhoneDescription>;
  /** Re-INVITE or UPDATE: a new offer from the phone, or (absent) our current description as an offer. */
  update(sdpOffer?: string): Promise<PhoneDescription>;
  /**
   * A SIP message of the phone came within its call: media may be sent to it, without a time limit if the
   * message came from the announced address. Nothing happens once the device is closed.
   */
  confirm(source: PhoneSource): Promise<void>;
  /**
   * Queues DTMF digits for the phone: all of them, or none with the error TOO_MANY_DIGITS. They are sent as
   * RFC 4733 events, or as tones to a phone that did not agree to events.
   */
  sendDtmf(dtmf: MediaDtmf): Promise<void>;
}

/** A program's end in the media plane. It is closed, and its requests wait and are rejected, like a {@link BrowserHandle}. */
export interface ProgramHandle extends DeviceHandle {
  /** @throws MediaError by rejection: INVALID_STATE */
  readonly opened: Promise<MediaStreamInfo>;
  /** Queues audio to be played in real time. What finds no room is dropped (`overflow`). */
  play(pcm: Buffer): void;
  /** Asks for the event `played` once all that was queued so far has been played. */
  mark(mark: string): void;
  /** Drops what is queued; the marks in it are answered. */
  clear(): void;
  /** Sends keys in its stream, as RFC 4733 events. @throws MediaError by rejection: TOO_MANY_DIGITS */
  sendDtmf(dtmf: MediaDtmf): Promise<void>;
}

/**
 * A file that is played to a device. It publishes one stream, which begins as soon as the device that hears it can be
 * sent audio: a phone at once, a browser when it has answered the offer.
 */
export interface FileHandle extends DeviceHandle {
  /** @throws MediaError by rejection: BAD_FILE (it cannot be read), INVALID_STATE */
  readonly opened: Promise<MediaStreamInfo>;
}

export type AnyHandle = BrowserHandle | PhoneHandle | ProgramHandle | FileHandle;

/** How well phones' mixes keep up. */
export interface MixLoad {
  /** How late phones' mixes were made, in ms: the worst of the last one to two seconds; 0 without phones. */
  readonly mixLatenessMs: number;
  /** 20 ms frames of phones' mixes that were skipped since the start because they were late. */
  readonly framesSkipped: number;
  /** Time in ms that making and sending phones' mixes has taken since the start. */
  readonly mixBusyMs: number;
}

/** How well the media plane keeps up with its work. */
export interface MediaLoad extends MixLoad {
  /** Share of time that the main thread of the busiest media host is busy; 0 without media hosts. */
  readonly busy: number;
  /** How late the main thread of the slowest media host runs timers, in ms; 0 without media hosts. */
  readonly delayMs: number;
}

/** What the media plane dropped or withheld since its start. */
export interface MediaCounters {
  /** Datagrams to phones' ports from sources that were not believed, or too large. */
  readonly strangers: number;
  /** 20 ms frames that were not sent because the announced address had given no sign of a phone. */
  readonly framesWithheld: number;
  /** RTCP reports that cannot be true, or are not as long as they say. */
  readonly reportsIgnored: number;
}

/** The media hosts of a plane; none when it is in this process. */
export interface MediaHosts {
  readonly present: number;
  /** Names of those that are present; no host ever has another's. */
  readonly ids: readonly string[];
  /** How many died, or were killed because they hung, since the start. */
  readonly lost: number;
}

/** How one media host keeps up. */
export interface MediaHostLoad extends Omit<MediaLoad, 'mixBusyMs'> {
  readonly id: string;
  readonly devices: number;
  /** It takes no new devices. */
  readonly isRetired: boolean;
}

/**
 * Events of the plane itself: lines for the log. An error in the fields is plain data as pino writes it: `type`,
 * `message`, `stack` and others.
 */
export interface MediaPlaneEvent {
  readonly type: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Longest text that {@link DeviceHandle.keep} takes, in bytes of UTF-8. */
export const MAX_NOTE_BYTES = 8192;

/** A device that outlived the gateway that opened it. */
export interface CarriedDevice {
  readonly kind: 'browser' | 'phone' | 'program';
  readonly deviceId: string;
  readonly sessionId?: string;
  /** The last text given to {@link DeviceHandle.keep}; empty when there was none. */
  readonly note: string;
  /** Everything that the device publishes now. */
  readonly streams: readonly MediaStreamInfo[];
  /** Phones: the last `state` event, when it came, in epoch ms, and the media host that has the phone. */
  readonly state?: string;
  readonly stateAt?: number;
  readonly host?: string;
}

/** The browsers' part of the media plane. */
export interface BrowserDoor {
  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  /**
   * Goes on with a carried browser. Events that came while no gateway was there follow at once.
   * @returns undefined when it is not carried
   */
  adoptBrowser(deviceId: string, listener: MediaListener<BrowserMediaEvent>): BrowserHandle | undefined;
}

/** The phones' part of the media plane. */
export interface PhoneDoor {
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  /** Goes on with a carried phone, like {@link BrowserDoor.adoptBrowser}. */
  adoptPhone(deviceId: string, listener: MediaListener<PhoneMediaEvent>): PhoneHandle | undefined;
}

/** The programs' part of the media plane. */
export interface ProgramDoor {
  open(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle;
  /** Goes on with a carried program, like {@link BrowserDoor.adoptBrowser}. */
  adoptProgram(deviceId: string, listener: MediaListener<ProgramMediaEvent>): ProgramHandle | undefined;
}

/** The part of the media plane that plays files. */
export interface FileDoor {
  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle;
}

/** Where a host of this plane takes the pipes of hosts of other gateways. */
export interface PipeDoor {
  /** The media host's id. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** Where a device is, and what it publishes there. */
export interface MediaPlacement {
  readonly deviceId: string;
  /** The id of its media host. */
  readonly host: string;
  readonly streamIds: readonly string[];
}

/** Is told where everything is. */
export interface CrossingWatcher {
  /** Everything, once and first. */
  located(all: { readonly hosts: readonly PipeDoor[]; readonly placements: readonly MediaPlacement[] }): void;
  /** All hosts that take pipes from now on. */
  hosts(hosts: readonly PipeDoor[]): void;
  /** A device is there, also one that plays a file, or what it publishes or its host has changed. */
  placed(placement: MediaPlacement): void;
  removed(deviceId: string): void;
}

/** What goes between a host of this plane and one of another gateway, by a pipe for each direction. */
export interface MediaCrossing {
  /** The id of the host of this plane. */
  readonly host: string;
  /** Names the other host; no two have the same name. */
  readonly remote: string;
  /** The streams that the other host gets, and the key of that pipe: 32 bytes in base64. */
  readonly sends?: { readonly key: string; readonly streamIds: readonly string[] } | undefined;
  /** Where the other host takes pipes, if it sends something, and the key. */
  readonly receives?: { readonly key: string; readonly host: string; readonly port: number } | undefined;
}

/** What pipes between this gateway and others did since the start. */
export interface CrossingCounters {
  /** Pipes, of each direction, that are up now. */
  readonly connected: number;
  /** Connections that came up, and attempts that failed: nobody there, or another key. */
  readonly connections: number;
  readonly failures: number;
  /** Connections of strangers that were refused. */
  readonly refused: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  /** Packets that were not sent because the other end did not read. */
  readonly packetsDropped: number;
  /** As they go over the network, without the headers of TCP and IP. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** Streams between the hosts of this plane and those of other gateways. */
export interface MediaCrossings {
  /** Tells a watcher where everything is, now and whenever it changes. */
  watch(watcher: CrossingWatcher): void;
  /**
   * Sets all that goes between hosts of this plane and others. What has not changed is not touched; until the first call,
   * hosts of an earlier gateway go on as it told them.
   */
  set(crossings: readonly MediaCrossing[]): void;
  counters(): CrossingCounters;
}

/** Rejections are `MediaError`s with a code of {@link MediaErrorCode}. */
export interface MediaPlane extends BrowserDoor, PhoneDoor, ProgramDoor, FileDoor {
  /**
   * Opens a device's end. The handle is returned at once, so that the device can be closed before it is open.
   */
  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  open(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle;
  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle;
  /**
   * Devices that outlived the gateway that opened them, until they are adopted or released. A plane in this
   * process has none.
   */
  carried(): readonly CarriedDevice[];
  /** Closes the carried devices that were not adopted. */
  releaseCarried(): Promise<void>;
  /** Absent when the plane was not told where other gateways reach it. */
  readonly crossings?: MediaCrossings | undefined;
  /**
   * Phones are sent RTP and RTCP for so many ms from now, and no longer, whatever becomes of this process: another machine may
   * have their calls after that. Until the first call of it there is no such limit.
   */
  sendToPhonesFor(ms: number): void;
  /** Cheap enough to be asked for every call. */
  load(): MediaLoad;
  counters(): MediaCounters;
  hosts(): MediaHosts;
  /** Each of the media hosts; empty when there are none. */
  hostLoads(): readonly MediaHostLoad[];
  /** Frees everything. */
  stop(): Promise<void>;
}
