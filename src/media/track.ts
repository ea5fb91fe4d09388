import type { MediaKind } from './types.js';

/** A codec as SDP names it (RFC 8866 section 6.6), without the payload type, which each transport maps. */
export interface TrackCodec {
  /** Encoding name in SDP spelling: `PCMU`, `PCMA`, `G722`, `opus`, `VP8`, ... */
  readonly name: string;
  /** RTP clock rate in Hz (G722: 8000, by RFC 3551 section 4.5.2). */
  readonly clockRate: number;
  readonly channels: number;
  /** `a=fmtp` parameters as one string; absent when none. */
  readonly fmtp?: string;
}

/** RTP timestamp and NTP time of one instant by the publisher's clock (RFC 3550 section 6.4.1). */
export interface ClockReading {
  readonly ntpSeconds: number;
  /** In 2^-32 s. */
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
}

/**
 * Receives a track's packets. Called for each packet in order of arrival: it must not keep `packet` past the
 * call unless it copies it, and must not change it.
 */
export interface TrackSink {
  /**
   * @param packet whole RTP packet, header included, decrypted
   * @param payloadOffset index of the first payload byte
   * @param payloadEnd index after the last payload byte (padding excluded)
   * @param telephoneEvent the payload is an RFC 4733 event, not the track's codec
   */
  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void;
  /**
   * The publisher has nothing but noise to send, from the packet's timestamp to that of its next audio, and describes it
   * (RFC 3389). The packet has no sequence number of its own.
   */
  onComfortNoise?(packet: Buffer, payloadOffset: number, payloadEnd: number): void;
  /** The publisher's sender report: tracks of one stream are in step when played by their NTP times. */
  onClock?(reading: ClockReading): void;
  /** The publisher changed codec or SSRC, or is gone for good. */
  onTrackEnded?(): void;
  /** Whether it passes audio on to somebody now; absent: it needs no packets of audio. */
  readonly wantsAudio?: boolean;
  /** How playing went; absent for a sink that does not play. */
  readonly played?: Played;
  /** Mean square of the audio that it decoded last (1: full scale); undefined: it has decoded nothing. */
  readonly power?: number | undefined;
}

/** What playing a track's packets was like. */
export interface Played {
  /** Packets that came, but not in time to be played. */
  readonly discarded: number;
  /** Audio made up in place of missing packets. */
  readonly concealedMs: number;
}

/** Audio that is made in this process, as samples: mixes take it without a codec between. */
export interface PcmSource {
  /**
   * Writes a mix frame (20 ms) at a rate in Hz to `out`. Frames are asked for in ascending order, each by any number of
   * readers.
   * @returns false if it is silence
   */
  read(frame: number, rate: number, out: Int16Array): boolean;
}

/** The packets of a video track from its last key frame on, in the publisher's numbers. */
export interface KeptPicture {
  /** When the newest packet came (ms); -Infinity before the first. */
  readonly newestAt: number;
  readonly newestSequence: number;
  readonly newestTimestamp: number;
  /** SSRC of the packets; -1 before the first. */
  readonly ssrc: number;
  /** Changes when the picture is replaced: what was read before is void. */
  readonly generation: number;
  /** Number of packets; 0 while one of them is missing. */
  readonly count: number;
  payload(index: number): Buffer;
  timestamp(index: number): number;
  marker(index: number): boolean;
}

/**
 * Asks a publisher to send at most this many bits per second (Infinity: any number): what the limits of its
 * subscribers come to.
 */
type BitrateListener = (bitsPerSecond: number, limits: SubscriberLimits) => void;

/** One published audio or video track. The publisher's transport pushes; subscribers attach sinks. */
export class PublishedTrack {
  readonly kind: MediaKind;
  readonly streamId: string;
  readonly codec: TrackCodec;
  /** Asks the publisher for a key frame (video); the publisher's transport limits the rate. */
  readonly requestKeyFrame: () => void;
  /** For subscribers that join while the publisher sends nothing; absent when no picture is kept. */
  readonly picture?: KeptPicture;
  /** Its samples, where they are made in this process. Packets of it come only while a sink wants them. */
  readonly pcm?: PcmSource;
  /** Mixes have all else lower while it is heard, and its own level as it is; set from deliveries. */
  isAnnouncement = false;
  /** Mixes have it without its noise; set from deliveries. */
  suppressesNoise = false;
  #sinks: TrackSink[] = [];
  #clock: ClockReading | undefined;
  #ended = false;
  /** By the sinks that have left. */
  #playedBefore: Played | undefined;
  readonly #onBitrate: BitrateListener;
  readonly #limits = new Map<object, SubscriberLimits>();

  constructor(options: {
    kind: MediaKind;
    streamId: string;
    codec: TrackCodec;
    requestKeyFrame?: () => void;
    limitBitrate?: BitrateListener;
    picture?: KeptPicture;
    pcm?: PcmSource;
  }) {
    this.kind = options.kind;
    this.streamId = options.streamId;
    this.codec = options.codec;
    this.requestKeyFrame = options.requestKeyFrame ?? (() => undefined);
    this.#onBitrate = options.limitBitrate ?? (() => undefined);
    if (options.picture) this.picture = options.picture;
    if (options.pcm) this.pcm = options.pcm;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The publisher's last sender report; undefined before the first, or when its transport passes on none. */
  get clock(): ClockReading | undefined {
    return this.#clock;
  }

  get sinkCount(): number {
    return this.#sinks.length;
  }

  /** Whether a sink passes its audio on to somebody now. */
  get isWanted(): boolean {
    const sinks = this.#sinks;
    for (let i = 0; i < sinks.length; i += 1) if (sinks[i]!.wantsAudio === true) return true;
    return false;
  }

  /**
   * Asks the publisher (video) to send no more than the subscribers can take.
   * @param source whoever knows some of the subscribers @param limits theirs; undefined: it has none any more
   */
  limitBitrate(source: object, limits: SubscriberLimits | undefined): void {
    if (limits) this.#limits.set(source, limits);
    else this.#limits.delete(source);
    const all = combineLimits(this.#limits.values());
    this.#onBitrate(bitrateCap(all.bitsPerSecond), all);
  }

  attach(sink: TrackSink): void {
    if (!this.#ended && !this.#sinks.includes(sink)) this.#sinks = [...this.#sinks, sink];
  }

  /** How playing it has gone in this process, where several play it at a time the worst; undefined: nobody has. */
  get played(): Played | undefined {
    let now: Played | undefined;
    for (const { played } of this.#sinks)
      if (played && !(now && now.concealedMs >= played.concealedMs)) now = played;
    const before = this.#playedBefore;
    if (!now || !before) return now ?? before;
    return {
      discarded: before.discarded + now.discarded,
      concealedMs: before.concealedMs + now.concealedMs,
    };
  }

  /** Mean square of the audio that was decoded last (1: full scale); undefined while nobody decodes it. */
  get decodedPower(): number | undefined {
    const sinks = this.#sinks;
    for (let i = 0; i < sinks.length; i += 1) {
      const { power } = sinks[i]!;
      if (power !== undefined) return power;
    }
    return undefined;
  }

  detach(sink: TrackSink): void {
    const isLastPlayer = sink.played && !this.#sinks.some((other) => other !== sink && other.played);
    if (isLastPlayer && this.#sinks.includes(sink)) this.#playedBefore = this.played;
    this.#sinks = this.#sinks.filter((other) => other !== sink);
  }

  /** Hands one packet to all sinks. Allocates nothing; a sink may detach itself or others meanwhile. */
  push(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    const sinks = this.#sinks;
    for (let i = 0; i < sinks.length; i += 1) {
      sinks[i]!.onPacket(packet, payloadOffset, payloadEnd, telephoneEvent);
    }
  }

  /** Hands one packet of comfort noise to those sinks that play it. */
  pushComfortNoise(packet: Buffer, payloadOffset: number, payloadEnd: number): void {
    for (const sink of this.#sinks) sink.onComfortNoise?.(packet, payloadOffset, payloadEnd);
  }

  /** Takes a sender report of the publisher. */
  setClock(reading: ClockReading): void {
    this.#clock = reading;
    for (const sink of this.#sinks) sink.onClock?.(reading);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#playedBefore = this.played;
    const sinks = this.#sinks;
    this.#sinks = [];
    for (const sink of sinks) sink.onTrackEnded?.();
  }
}

/** What the subscribers of one video can take, as far as one source knows them. */
export interface SubscriberLimits {
  /** Bits per second of each; Infinity: more than it is sent. */
  readonly bitsPerSecond: readonly number[];
  /** They get only key frames, since their networks carry far less than the whole video. */
  readonly thinned: boolean;
}

/**
 * The limits of several sources as one. Subscribers that get only key frames count when nobody gets more: a lower
 * rate could give them the video.
 */
export function combineLimits(limits: Iterable<SubscriberLimits>): SubscriberLimits {
  const all = [...limits].filter(({ bitsPerSecond }) => bitsPerSecond.length > 0);
  const full = all.filter(({ thinned }) => !thinned);
  const counted = full.length > 0 ? full : all;
  return {
    bitsPerSecond: counted.flatMap(({ bitsPerSecond }) => bitsPerSecond),
    thinned: full.length === 0,
  };
}

/** A useful picture needs about this many bits per second. */
const MIN_CAP = 100_000;

/**
 * The bit rate to ask of a publisher, the median of what its subscribers can take, so that
 * one bad network does not degrade the picture for everyone.
 * @param limits bits per second for each subscriber; Infinity: more than it is sent
 * @returns Infinity for no cap
 */
export function bitrateCap(limits: readonly number[]): number {
  if (limits.length === 0) return Infinity;
  const descending = [...limits].sort((a, b) => b - a);
  return Math.max(MIN_CAP, descending[Math.floor((descending.length - 1) / 2)]!);
}
