import type { Log } from '../shared/index.js';
/**
 * The media plane's one door: everything that crosses it is plain data, so that the plane can run in this
 * process or in another. Ids are the caller's; SDP is text; nothing here knows sessions or participants.
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

export interface OpenBrowserOptions {
  readonly deviceId: string;
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

export interface OpenPhoneOptions {
  readonly deviceId: string;
  /** Of the message that asks for it; absent: media are sent to the announced address unasked. */
  readonly source?: PhoneSource;
  /** SDP offer of the phone; absent: the plane makes the offer (late offer), completed by `answerPhone`. */
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
}

/** A track of a delivery that is not in a subscriber's offer. */
export interface OmittedTrack {
  readonly streamId: string;
  readonly kind: MediaKind;
  /** Why, in words. */
  readonly reason: string;
}

export interface SubscribeOffer {
  readonly deviceId: string;
  readonly sdpOffer: string;
  readonly revision: number;
  /** All streams in the SDP, with the kinds that are really there. */
  readonly streams: readonly MediaDelivery[];
  /** M-line kinds in order, to be kept for {@link OpenBrowserOptions.subscribeLayout}. */
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
  /** Browsers: ms since RTP, RTCP or a heartbeat answer last came; absent while nothing ever came. */
  readonly silentMs?: number;
}

/** What the media plane says unasked. */
export interface MediaEvents {
  /** To be sent to the browser; to be answered by `answerSubscribe`. */
  subscribeOffer: [offer: SubscribeOffer];
  /** The set of streams of a device changed without an offer of its own. */
  streams: [event: { deviceId: string; streams: readonly MediaStreamInfo[] }];
  /** The set of tracks of a device's delivery that it cannot be sent changed. */
  tracksOmitted: [event: { deviceId: string; tracks: readonly OmittedTrack[] }];
  /** A DTMF digit (`0-9*#A-D`) came in a device's audio, once for each key press. */
  dtmf: [event: { deviceId: string; digit: string; durationMs: number }];
  /**
   * A transport that was up is silent or gone, or media stopped coming for the configured time. Browsers: again for
   * each time that it happens, since they may come back. `abuse`: so much came that the transport was shut.
   */
  mediaLost: [event: { deviceId: string; cause: 'transport' | 'timeout' | 'abuse' }];
  /**
   * The way to a phone changed, though nobody asked: it is to be offered what {@link MediaPlane.updatePhone} returns
   * without an offer, and its answer to be given to {@link MediaPlane.answerPhone}.
   */
  renegotiate: [event: { deviceId: string }];
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

/** Rejections are `MediaError`s with a code of {@link MediaErrorCode}. */
export interface MediaPlane {
  on<E extends keyof MediaEvents>(event: E, listener: (...args: MediaEvents[E]) => void): void;
  off<E extends keyof MediaEvents>(event: E, listener: (...args: MediaEvents[E]) => void): void;

  openBrowser(options: OpenBrowserOptions): Promise<void>;
  /** Takes a browser's publish offer: the full description of what it publishes from now on. */
  publish(deviceId: string, options: PublishOfferOptions): Promise<PublishAnswer>;
  /** Takes the answer to the outstanding subscribe offer. */
  answerSubscribe(deviceId: string, sdpAnswer: string): Promise<void>;
  /** The browser's socket is back: offers that were lost with the old one are made again. */
  resumeBrowser(deviceId: string): Promise<void>;

  openPhone(options: OpenPhoneOptions): Promise<PhoneDescription>;
  /** Answer of a phone to our offer (late offer). */
  answerPhone(deviceId: string, sdpAnswer: string): Promise<PhoneDescription>;
  /** Re-INVITE or UPDATE: a new offer from the phone, or (absent) our current description as an offer. */
  updatePhone(deviceId: string, sdpOffer?: string): Promise<PhoneDescription>;
  /**
   * A SIP message of the phone within its call came: media may be sent to it, and without a limit if it is announced
   * to be where the message came from. Nothing happens for an unknown device.
   */
  confirmPhone(deviceId: string, source: PhoneSource): Promise<void>;
  /**
   * Queues DTMF digits for a phone, all of them or (TOO_MANY_DIGITS) none. They are sent as RFC 4733 events, or as
   * tones to a phone that did not agree to those.
   */
  sendDtmf(deviceId: string, dtmf: MediaDtmf): Promise<void>;

  /** Replaces the full set of streams that a device receives. Unknown streams are ignored until published. */
  setDelivery(deviceId: string, delivery: readonly MediaDelivery[]): Promise<void>;
  statistics(deviceId: string): Promise<DeviceStatistics>;
  /** Cheap enough to be asked for every call. */
  load(): MediaLoad;
  counters(): MediaCounters;
  /**
   * Frees everything of a device, also while it is being opened: that is rejected with INVALID_STATE then. Nothing
   * happens for an unknown one.
   */
  close(deviceId: string): Promise<void>;
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
  readonly log: Log;
}
