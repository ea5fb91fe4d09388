import type { SampleRate } from './codecs/index.js';

export type MediaKind = 'audio' | 'video';

/** A stream as the media plane publishes it. */
export interface MediaStreamInfo {
  /** Made by the media plane, unique across the gateway; the msid stream id that subscribers see. */
  readonly streamId: string;
  /** Browsers: the msid stream id that the publisher used. */
  readonly publisherMsid?: string;
  readonly kinds: readonly MediaKind[];
  /** SDP names of the codecs that the device sends, one for each kind. */
  readonly codecs: readonly string[];
}

/** How loud a stream is. */
export interface StreamLevelInfo {
  readonly streamId: string;
  /** The loudest of its packets of late, in dB relative to full scale. */
  readonly levelDb: number;
}

/** One stream of a device's delivery, with the kinds to receive of it. */
export interface MediaDelivery {
  readonly streamId: string;
  readonly kinds: readonly MediaKind[];
  /** It is an announcement: while it is heard in a mix, all else is lower, and its own level stays as it is. */
  readonly announcement?: true;
  /** Whether talkers' levels are evened in a mix, the same for the whole delivery. Default: {@link MediaPlaneOptions.levelling}. */
  readonly levelling?: boolean;
  /** Mixes have the stream without its noise: the same in all deliveries. */
  readonly noiseSuppression?: true;
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
  /**
   * `speaking` events and levels of speech are wanted even of what nobody hears, though it has to be decoded for that alone.
   * Otherwise there are none of it, unless they cost next to nothing.
   */
  readonly metersSpeech?: boolean;
}

/** The part of a spec that stays the same wherever and however often the device is opened. */
export function lastingSpec({ deviceId, sessionId, labels, metersSpeech }: DeviceSpec) {
  return {
    deviceId,
    ...(sessionId !== undefined && { sessionId }),
    ...(labels && { labels }),
    ...(metersSpeech !== undefined && { metersSpeech }),
  };
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
  /** It came over a connection (such as TCP), whose address is real; a datagram's can be forged. */
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
  /**
   * Goes on with the media of a phone whose process died: same ports, SSRC, codec and keys, and the same stream. Then
   * no offer is answered, {@link PhoneDescription.sdp} is empty, and `source` is the one in the state. Errors: NO_PORT
   * when another program has the ports, INVALID_STATE for a state that cannot be read.
   */
  readonly restored?: {
    /** Of the last `state` event. */
    readonly state: string;
    /** Time since that event, in ms. */
    readonly ageMs: number;
    /** The process was on another machine: there are other ports and another address, which the phone must be offered. */
    readonly isElsewhere?: boolean | undefined;
  };
  /** SDP offer of the phone; absent: the plane makes the offer (late offer), completed by {@link PhoneHandle.answer}. */
  readonly sdpOffer?: string;
}

/** Sample rate of a program's audio, in Hz. */
export type ProgramRate = SampleRate;

/** A program sends and receives samples: signed, 16 bits, little-endian, mono, at its rate. */
export interface ProgramSpec extends DeviceSpec {
  readonly kind: 'program';
  readonly rate: ProgramRate;
  /** It receives one mix of its delivery, or each stream by itself. */
  readonly channels: 'mix' | 'streams';
  /** Longest audio that waits to be played, in ms. */
  readonly queueMs: number;
  /** Id of its stream, when the device goes on after its process died; default: a new one. */
  readonly streamId?: string;
}

/** A file of samples that is played to one device: signed, 16 bits, little-endian, mono. */
export interface FileSpec extends DeviceSpec {
  readonly kind: 'file';
  /** Path of the file, which the process of the device that hears it must be able to read. */
  readonly path: string;
  readonly rate: ProgramRate;
  /** The device that hears it: they are best on the same host. */
  readonly listenerId: string;
  /** Times that it is played: 0 for without end. */
  readonly times: number;
  /** Factor of the samples: 1 leaves them as they are. */
  readonly volume: number;
}

/** What any device is opened with. */
export type AnySpec = BrowserSpec | PhoneSpec | ProgramSpec | FileSpec;

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
  /** The SDP name of the codec that is sent to the phone. */
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
  /** SDP names of their codecs, each once. */
  readonly codecs: readonly string[];
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
  /** Absent from a media host of an older version. */
  readonly quality?: DeviceQuality | undefined;
}

/** How the audio of one direction fares, since the device was opened. What was not measured is absent. */
export interface DirectionQuality {
  readonly packets: number;
  /** On the network; it never falls. */
  readonly lost?: number;
  /** Packets that came, but not in time to be played. */
  readonly discarded?: number;
  /** By RFC 3550 section 6.4.1, at present. */
  readonly jitterMs?: number;
  /** Smoothed; to the device and back. */
  readonly roundTripMs?: number;
  /** Audio that was made up in place of missing packets. */
  readonly concealedMs?: number;
  /** Speech, in dB relative to full scale (a sine of full scale: -3 dB). */
  readonly levelDb?: number;
  /** Opinion score by the E-model, from loss, discard, round trip and codec. */
  readonly mos?: number;
  /** The codec has no values of the ITU: `mos` is an estimate. */
  readonly mosIsEstimate?: boolean;
}

export interface DeviceQuality {
  /** What comes from the device. */
  readonly received: DirectionQuality;
  /** What is sent to it, as its receiver reports say. */
  readonly sent: DirectionQuality;
}

/** How often each open device's statistics are pushed. */
export const STATISTICS_INTERVAL_MS = 5_000;
/** How often the levels of a device are pushed while they are watched. */
export const LEVELS_INTERVAL_MS = 200;

export type MediaErrorCode =
  | 'BAD_SDP'
  | 'NO_COMMON_CODEC'
  | 'NO_COMMON_TRANSPORT'
  | 'UNKNOWN_DEVICE'
  | 'NO_PORT'
  | 'INVALID_STATE'
  | 'TOO_MANY_DIGITS'
  | 'NOTE_TOO_LONG'
  | 'BAD_FILE';

export class MediaError extends Error {
  override readonly name = 'MediaError';
  readonly code: MediaErrorCode;

  constructor(code: MediaErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Every pair of ports whose number in the range, divided by `of`, leaves `part`. */
export interface PortShare {
  readonly part: number;
  readonly of: number;
}

export interface MediaPlaneOptions {
  /** Address that phone RTP is received on. */
  readonly rtpHost: string;
  /** Inclusive range of UDP ports for phone RTP; even ports carry RTP, the next odd one RTCP. */
  readonly rtpPorts: readonly [first: number, last: number];
  /** Which of them are taken first; default: any. */
  readonly rtpShare?: PortShare;
  readonly webrtcHost: string;
  /** The one UDP port for all browsers' media. 0 lets the system choose (tests). */
  readonly webrtcPort: number;
  /** Put into SDP and candidates in place of the hosts above. */
  readonly publicIp?: string;
  /** `mediaLost` is sent after this many ms without media from a phone that is not on hold. */
  readonly mediaTimeoutMs: number;
  /** SDP names of the codecs that phones may use, in the order in which they are offered. Default: all. */
  readonly phoneCodecs?: readonly string[];
  /** Networks whose phones get media at the address in their SDP, wherever their packets come from. */
  readonly asymmetricRtp?: readonly string[];
  /** Whether subscribers hear what a phone sends while it holds the call, such as music. Default: no. */
  readonly passHeldAudio?: boolean;
  /** Browsers and phones are asked for Opus with discontinuous transmission, and phones that ask get it. */
  readonly opusDtx?: boolean;
  /** Whether mixes have all talkers at about the same loudness. Default: yes. */
  readonly levelling?: boolean;
}
