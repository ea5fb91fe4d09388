/**
 * The media plane's one door. Everything that crosses it is plain data: a device is opened by a spec, each request of
 * its handle could be a message, and so could each event that its listener gets. So the plane can run in this process
 * or in another. Ids are the caller's; SDP is text; nothing here knows participants.
 */

export type MediaKind = 'audio' | 'video';

/** A stream as the media plane publishes it. */
export interface MediaStreamInfo {
  /** Made by the media plane, unique across the gateway; the msid stream id that subscribers see. */
  readonly streamId: string;
  /** Browsers: the msid stream id that the publisher used. */
  readonly publisherMsid?: string;
  readonly kinds: readonly MediaKind[];
}

/** One stream of a device's delivery, with the kinds to receive of it. */
export interface MediaDelivery {
  readonly streamId: string;
  readonly kinds: readonly MediaKind[];
}

/** DTMF digits for a phone. */
export interface MediaDtmf {
  /** Characters of `0-9*#A-D`. */
  readonly digits: string;
  /** Length of each digit. Default 100. */
  readonly durationMs?: number;
  /** Pause after each digit. Default 100. */
  readonly gapMs?: number;
}

/** What the specs of all kinds of device have in common. */
interface DeviceSpec {
  /** Unique among the devices that are open. */
  readonly deviceId: string;
  /**
   * The session of the device's participant, if any, as an opaque id. It is a hint: devices of one session
   * are best opened on the same host, but a device that moves to another session stays where it is.
   */
  readonly sessionId?: string | undefined;
  /** Fields for every log line about the device, beside its id as `connectionId`; opaque to the plane. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface BrowserSpec extends DeviceSpec {
  readonly kind: 'browser';
  /** First `sdpRevision` of a subscribe offer minus one; default: unix seconds, so that it grows over restarts. */
  readonly revision?: number;
  /** The subscribe m-line kinds, in order, that this browser already has from before a restart. */
  readonly subscribeLayout?: readonly MediaKind[];
}

export interface PublishOfferOptions {
  readonly sdpOffer: string;
  /** Kinds that this device may publish; m-lines of others are refused in the answer. */
  readonly allowedKinds: readonly MediaKind[];
}

/** A track that a browser offered to publish and that was refused. */
export interface RefusedTrack {
  /** The msid stream id that the publisher used. */
  readonly publisherMsid?: string;
  readonly kind: MediaKind;
  /** Why, in words. */
  readonly reason: string;
}

export interface PublishAnswer {
  readonly sdpAnswer: string;
  readonly refused: readonly RefusedTrack[];
  /** Everything that the device publishes after this offer. */
  readonly streams: readonly MediaStreamInfo[];
}

/** Where a SIP message of a phone came from. */
export interface SipSource {
  readonly address: string;
  /** The phone itself sent it, not a proxy: its media may come from the same address. */
  readonly isDirect: boolean;
  /**
   * It came over a connection (such as TCP), whose address is real; the source of a datagram can be forged.
   */
  readonly isConnection: boolean;
}

/**
 * `trusted`: FreeSWITCH on a private network. Its media come only from the announced address, and it always
 * accepts ours.
 */
export type PhoneSource = SipSource | 'trusted';

export interface PhoneSpec extends DeviceSpec {
  readonly kind: 'phone';
  /**
   * Source of the message that opens the call; absent: media are sent to the announced address without a sign
   * of the phone.
   */
  readonly source?: PhoneSource;
  /** SDP offer of the phone; absent: the plane makes the offer (late offer), completed by {@link PhoneHandle.answer}. */
  readonly sdpOffer?: string;
}

export interface PhoneDescription {
  /** Our SDP: the answer, or the offer when the phone made none. */
  readonly sdp: string;
  /** The phone's stream; absent until its codec is known. */
  readonly stream?: MediaStreamInfo;
  /**
   * The phone put us on hold (RFC 3264 section 8.4): `sendonly`, `inactive` or c=0.0.0.0. A phone that has
   * been `sendonly` from the start is not on hold.
   */
  readonly held: boolean;
  /** How the phone's audio is carried; absent until that is agreed. */
  readonly audio?: PhoneAudio;
}

/** How a phone's audio is carried. */
export interface PhoneAudio {
  /** The SDP name of the codec. */
  readonly codec: string;
  /** The crypto suite (RFC 4568 section 6.2), `DTLS-SRTP`, or `none`. */
  readonly encryption: string;
  /** Address and port that the phone announced; absent when it announced none. */
  readonly remote?: string;
}

/** A track of a delivery that is not in a subscriber's offer. */
export interface OmittedMediaTrack {
  readonly streamId: string;
  readonly kind: MediaKind;
  /** Why, in words. */
  readonly reason: string;
}

export interface SubscribeOffer {
  readonly sdpOffer: string;
  readonly revision: number;
  /** All streams in the SDP, with the kinds that it contains. */
  readonly streams: readonly MediaDelivery[];
  /** M-line kinds in order, to be kept for {@link BrowserSpec.subscribeLayout}. */
  readonly layout: readonly MediaKind[];
}

/** Counters of one device since it was opened. Times in ms, sizes in bytes. */
export interface DeviceStatistics {
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  readonly packetsSent: number;
  readonly bytesSent: number;
  readonly packetsLost: number;
  /** Arrival jitter by RFC 3550 section 6.4.1, in ms. */
  readonly jitterMs: number;
}

/** How often each open device's statistics are pushed. */
export const STATISTICS_INTERVAL_MS = 5_000;

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
  | { readonly type: 'renegotiate' };

/**
 * Gets the events of one device. After a call of {@link DeviceHandle.close} it gets only the last statistics.
 */
export type MediaListener<Event> = (event: Event) => void;

/** Requests to a device of any kind. */
export interface DeviceHandle {
  /**
   * Replaces the full set of streams that the device receives. Unknown streams are ignored until published. Nothing
   * happens once it is closed.
   */
  setDelivery(delivery: readonly MediaDelivery[]): Promise<void>;
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

/** How well the media plane keeps up with its work. */
export interface MediaLoad {
  /** How late phones' mixes were made, in ms: the worst of the last one to two seconds; 0 without phones. */
  readonly mixLatenessMs: number;
  /** 20 ms frames of phones' mixes that were skipped since the start because they were late. */
  readonly framesSkipped: number;
  /** Time in ms that making and sending phones' mixes has taken since the start. */
  readonly mixBusyMs: number;
}

/** What the media plane dropped or withheld since its start. */
export interface MediaCounters {
  /** Datagrams to phones' ports from sources that were not believed, or too large. */
  readonly strangers: number;
  /** 20 ms frames that were not sent because the announced address had given no sign of a phone. */
  readonly framesWithheld: number;
}

/** Events of the plane itself. */
export type MediaPlaneEvent =
  /**
   * A line for the log. An error in the fields is plain data as pino writes it: `type`, `message`, `stack`
   * and others.
   */
  {
    readonly type: 'log';
    readonly level: 'debug' | 'info' | 'warn' | 'error';
    readonly fields: Readonly<Record<string, unknown>>;
    readonly message: string;
  };

/** The browsers' part of the media plane. */
export interface BrowserDoor {
  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
}

/** The phones' part of the media plane. */
export interface PhoneDoor {
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
}

/** Rejections are `MediaError`s with a code of {@link MediaErrorCode}. */
export interface MediaPlane {
  /**
   * Opens a device's end. The handle is returned at once, so that the device can be closed before it is open.
   */
  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  /** Cheap enough to be asked for every call. */
  load(): MediaLoad;
  counters(): MediaCounters;
  /** Frees everything. */
  stop(): Promise<void>;
}

export type MediaErrorCode =
  | 'BAD_SDP'
  | 'NO_COMMON_CODEC'
  | 'NO_COMMON_TRANSPORT'
  | 'UNKNOWN_DEVICE'
  | 'NO_PORT'
  | 'INVALID_STATE'
  | 'TOO_MANY_DIGITS';

export class MediaError extends Error {
  override readonly name = 'MediaError';
  readonly code: MediaErrorCode;

  constructor(code: MediaErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface MediaPlaneOptions {
  /** Address that phone RTP is received on. */
  readonly rtpHost: string;
  /** Inclusive range of UDP ports for phone RTP; even ports carry RTP, the next odd one RTCP. */
  readonly rtpPorts: readonly [first: number, last: number];
  readonly webrtcHost: string;
  /** The one UDP port for all browsers' media. 0 lets the system choose (tests). */
  readonly webrtcPort: number;
  /** Put into SDP and candidates in place of the hosts above. */
  readonly publicIp?: string;
  /** `mediaLost` is sent when no media came for so long (ms) from a phone that is not on hold. */
  readonly mediaTimeoutMs: number;
  /** SDP names of the codecs that phones may use, in the order in which they are offered. Default: all. */
  readonly phoneCodecs?: readonly string[];
  /** Networks whose phones get media at the address in their SDP, wherever their packets come from. */
  readonly asymmetricRtp?: readonly string[];
  /** Whether subscribers hear what a phone sends while it holds the call, such as music. Default: no. */
  readonly passHeldAudio?: boolean;
  /** Browsers and phones are asked for Opus with discontinuous transmission, and phones that ask get it. */
  readonly opusDtx?: boolean;
}
