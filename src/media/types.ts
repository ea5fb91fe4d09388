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

/** One stream of a device's delivery, with the kinds wanted of it. */
export interface MediaDelivery {
  readonly streamId: string;
  readonly kinds: readonly MediaKind[];
}

/** DTMF digits for a phone. */
export interface MediaDtmf {
  /** Of `0-9*#A-D`. */
  readonly digits: string;
  /** Length of each digit. Default 100. */
  readonly durationMs?: number;
  /** Pause after each digit. Default 100. */
  readonly gapMs?: number;
}

/** What the specs of all kinds of device have. */
interface DeviceSpec {
  /** Unique among the devices that are open. */
  readonly deviceId: string;
  /**
   * The session that the device's participant is in, if any, as an opaque id: devices of one session are best opened
   * where the others are. A hint at opening only: a device that moves later stays where it is.
   */
  readonly sessionId?: string | undefined;
  /** Fields for every line of the log about the device, beside its id as `connectionId`; opaque to the plane. */
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

/** A track that a browser offered to publish and that was not taken. */
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
  /** The phone itself sent it from there, no proxy: its media may come from there too. */
  readonly isDirect: boolean;
  /** It came by a connection: whoever is there takes what is sent to him. A datagram's source can be forged. */
  readonly isConnection: boolean;
}

/** Of FreeSWITCH on a private network: its media come from the announced address and nowhere else, and it wants ours. */
export type PhoneSource = SipSource | 'trusted';

export interface PhoneSpec extends DeviceSpec {
  readonly kind: 'phone';
  /** Of the message that asks for it; absent: media are sent to the announced address unasked. */
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
   * The phone put us on hold (RFC 3264 section 8.4): it does not want to hear (`sendonly`, `inactive`, c=0.0.0.0). One
   * that began as `sendonly` and never wanted to is not on hold.
   */
  readonly held: boolean;
  /** How the phone's audio is carried; absent until that is agreed on. */
  readonly audio?: PhoneAudio;
}

/** How a phone's audio is carried. */
export interface PhoneAudio {
  /** The SDP name of the codec. */
  readonly codec: string;
  /** The crypto suite (RFC 4568 section 6.2), `DTLS-SRTP`, or `none`. */
  readonly encryption: string;
  /** Where the phone said to be; absent when it named no address. */
  readonly remote?: string;
}

/** A track of a delivery that is not in a subscriber's offer. */
export interface OmittedTrack {
  readonly streamId: string;
  readonly kind: MediaKind;
  /** Why, in words. */
  readonly reason: string;
}

export interface SubscribeOffer {
  readonly sdpOffer: string;
  readonly revision: number;
  /** All streams in the SDP, with the kinds that are really there. */
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

/** `abuse`: so much came that the transport was shut. */
export type MediaLossCause = 'transport' | 'timeout' | 'abuse';

/** What is said unasked about a device of any kind. */
export type DeviceMediaEvent =
  /** The set of streams of the device changed without an offer of its own. */
  | { readonly type: 'streams'; readonly streams: readonly MediaStreamInfo[] }
  /** A DTMF digit (`0-9*#A-D`) came in the device's audio, once for each key press. */
  | { readonly type: 'dtmf'; readonly digit: string; readonly durationMs: number }
  /**
   * A transport that was up is silent or gone, or media stopped coming for the configured time. Browsers: again for
   * each time that it happens, since they may come back.
   */
  | { readonly type: 'mediaLost'; readonly cause: MediaLossCause }
  /** The first sign of life in the device's media: RTP and, of browsers, RTCP or a heartbeat too. Browsers: also the
   * first one after each `silent`. */
  | { readonly type: 'heard' }
  /** Every {@link STATISTICS_INTERVAL_MS} while the device is open, and a last time when it is closed. */
  | { readonly type: 'statistics'; readonly statistics: DeviceStatistics };

export type BrowserMediaEvent =
  | DeviceMediaEvent
  /** To be sent to the browser; to be answered by {@link BrowserHandle.answerSubscribe}. */
  | { readonly type: 'subscribeOffer'; readonly offer: SubscribeOffer }
  /** The set of tracks of the device's delivery that it cannot be sent changed. */
  | { readonly type: 'tracksOmitted'; readonly tracks: readonly OmittedTrack[] }
  /**
   * It was heard, and has not been for `silentMs`, which is four to five seconds. `mediaLost` is said later, when that
   * is too long for a browser that lives.
   */
  | { readonly type: 'silent'; readonly silentMs: number };

export type PhoneMediaEvent =
  | DeviceMediaEvent
  /**
   * The way to the phone changed, though nobody asked: it is to be offered what {@link PhoneHandle.update} returns
   * without an offer, and its answer to be given to {@link PhoneHandle.answer}.
   */
  | { readonly type: 'renegotiate' };

/** Gets the events of one device, and none but the last statistics after {@link DeviceHandle.close} was called. */
export type MediaListener<Event> = (event: Event) => void;

/** What can be asked of a device of any kind. */
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

/** A phone's end in the media plane; its requests are as those of a {@link BrowserHandle}. */
export interface PhoneHandle extends DeviceHandle {
  /** @throws MediaError by rejection: BAD_SDP, NO_COMMON_CODEC, NO_COMMON_TRANSPORT, NO_PORT, INVALID_STATE */
  readonly opened: Promise<PhoneDescription>;
  /** Answer of the phone to our offer (late offer). */
  answer(sdpAnswer: string): Promise<PhoneDescription>;
  /** Re-INVITE or UPDATE: a new offer from the phone, or (absent) our current description as an offer. */
  update(sdpOffer?: string): Promise<PhoneDescription>;
  /**
   * A SIP message of the phone within its call came: media may be sent to it, and without a limit if it is announced
   * to be where the message came from. Nothing happens once it is closed.
   */
  confirm(source: PhoneSource): Promise<void>;
  /**
   * Queues DTMF digits for the phone, all of them or (TOO_MANY_DIGITS) none. They are sent as RFC 4733 events, or as
   * tones to a phone that did not agree to those.
   */
  sendDtmf(dtmf: MediaDtmf): Promise<void>;
}

/** How much of what it has to do the media plane manages. */
export interface MediaLoad {
  /** How late phones' mixes were made, in ms: the worst of the last one to two seconds; 0 without phones. */
  readonly mixLatenessMs: number;
  /** 20 ms frames of all phones' mixes that were not made since the start, because they were too late. */
  readonly framesSkipped: number;
  /** Time in ms that making and sending phones' mixes has taken since the start. */
  readonly mixBusyMs: number;
}

/** What the media plane let go by since its start. */
export interface MediaCounters {
  /** Datagrams to phones' ports from sources that were not believed, or too large. */
  readonly strangers: number;
  /** 20 ms frames that were not sent to phones' announced addresses, which had given no sign, or not yet. */
  readonly framesWithheld: number;
}

/** What comes of the plane itself unasked. */
export type MediaPlaneEvent =
  /** A line for the log. An error in the fields is plain data as pino has it: `type`, `message`, `stack` and what else. */
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
  /** Opens a device's end. Its handle is there at once, so that it can be closed before it is open. */
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
  /** Without media from a phone for so long (ms), while not held: `mediaLost`. */
  readonly mediaTimeoutMs: number;
  /** SDP names of the codecs that phones may use, in the order in which they are offered. Default: all. */
  readonly phoneCodecs?: readonly string[];
  /** Networks of phones that are sent to where their SDP says, wherever their packets come from. */
  readonly asymmetricRtp?: readonly string[];
  /** What phones send while they hold goes to those who receive them: their music. Default: it does not. */
  readonly passHeldAudio?: boolean;
  /** Browsers and phones are asked for Opus with discontinuous transmission, and phones that ask get it. */
  readonly opusDtx?: boolean;
}
