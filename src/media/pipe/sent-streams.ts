import type { LiveStream } from '../endpoint.js';
import type { RemoteStreams } from '../live-streams.js';
import { MAX_FORWARDED_PACKET, PacketScratch, RTP_FIXED_HEADER, writeRtpHeader } from '../rtp/index.js';
import type { ClockReading, PublishedTrack, TrackCodec, TrackSink } from '../track.js';
import {
  FRAME,
  type PacketKind,
  readBitrate,
  readTrackNumber,
  writeClock,
  writePacket,
  writeStream,
} from './frames.js';
import type { RecordChannel } from './record-channel.js';

/** A longer `a=fmtp` does not cross: subscribers get the codec's own. */
const MAX_FMTP = 1024;
/** A publisher that sent nothing for so long may answer no request for a key frame. */
const STILL_MS = 250;

/** What both directions of a pipe count. */
export interface PacketCounts {
  packetsSent: number;
  packetsReceived: number;
  /** Packets that were not sent because the other end did not read. */
  packetsDropped: number;
}

interface SentStream {
  readonly stream: LiveStream;
  readonly tracks: readonly SentTrack[];
}

/** The streams of this host that the other end of a pipe gets, over one connection. */
export class SentStreams {
  readonly #streams: RemoteStreams;
  readonly #channel: RecordChannel;
  readonly #counts: PacketCounts;
  readonly #unwatch: () => void;
  #wanted: ReadonlySet<string> = new Set();
  readonly #sent = new Map<string, SentStream>();
  readonly #tracks = new Map<number, SentTrack>();
  #lastNumber = 0;

  constructor(streams: RemoteStreams, channel: RecordChannel, counts: PacketCounts) {
    this.#streams = streams;
    this.#channel = channel;
    this.#counts = counts;
    this.#unwatch = streams.watch((changed) => {
      for (const streamId of changed) if (this.#wanted.has(streamId)) this.#follow(streamId);
    });
  }

  /** Replaces the full set of streams to send. Those that are not published yet are sent once they are. */
  want(streamIds: ReadonlySet<string>): void {
    const before = this.#wanted;
    this.#wanted = streamIds;
    for (const streamId of new Set([...before, ...streamIds])) this.#follow(streamId);
  }

  /** Takes feedback. @throws Error when it makes no sense */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void {
    // The track may have ended while the feedback was on its way.
    const track = this.#tracks.get(readTrackNumber(bytes, start, end));
    if (type === FRAME.keyFrame) track?.wantPicture();
    else if (type === FRAME.bitrate) track?.limitBitrate(readBitrate(bytes, start, end));
    else throw new Error(`A frame has the unknown type ${type}.`);
  }

  close(): void {
    this.#unwatch();
    for (const track of this.#tracks.values()) track.detach();
    this.#tracks.clear();
    this.#sent.clear();
  }

  /** Sends a stream as it is now, if it is wanted. */
  #follow(streamId: string): void {
    const stream = this.#wanted.has(streamId) ? this.#streams.local(streamId) : undefined;
    const before = this.#sent.get(streamId);
    if (stream === before?.stream) return;
    const known = new Map(before?.tracks.map((sent) => [sent.track, sent]));
    const tracks = (stream?.tracks ?? [])
      .filter((track) => !track.ended)
      .map((track) => known.get(track) ?? this.#sentTrack(track));
    if (stream) this.#sent.set(streamId, { stream, tracks });
    else this.#sent.delete(streamId);
    for (const sent of before?.tracks ?? []) if (!tracks.includes(sent)) this.#stop(sent);
    if (tracks.length === known.size && tracks.every(({ track }) => known.has(track))) return;
    writeStream(this.#channel, {
      streamId,
      publisherMsid: stream?.publisherMsid,
      tracks: tracks.map(({ number, track }) => ({
        number,
        kind: track.kind,
        codec: withShortFmtp(track.codec),
      })),
    });
    for (const sent of tracks) sent.attach();
  }

  #sentTrack(track: PublishedTrack): SentTrack {
    this.#lastNumber += 1;
    const sent = new SentTrack(this.#lastNumber, track, this.#channel, this.#counts);
    this.#tracks.set(sent.number, sent);
    return sent;
  }

  #stop(sent: SentTrack): void {
    sent.detach();
    this.#tracks.delete(sent.number);
  }
}

function withShortFmtp({ fmtp, ...codec }: TrackCodec): TrackCodec {
  return fmtp === undefined || fmtp.length > MAX_FMTP ? codec : { ...codec, fmtp };
}

const scratch = new PacketScratch();

/** One track on its way to another host: each of its packets crosses once. */
class SentTrack implements TrackSink {
  readonly number: number;
  readonly track: PublishedTrack;
  readonly wantsAudio = true;
  readonly #channel: RecordChannel;
  readonly #counts: PacketCounts;
  #isAttached = false;
  /** Packets were dropped, and none was sent since. */
  #hasGap = false;
  /** The kept picture that the other end does not have whole. */
  #missing: number | undefined;

  constructor(number: number, track: PublishedTrack, channel: RecordChannel, counts: PacketCounts) {
    this.number = number;
    this.track = track;
    this.#channel = channel;
    this.#counts = counts;
    this.#missing = track.picture?.generation;
  }

  attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    this.track.attach(this);
    if (this.track.clock) this.onClock(this.track.clock);
  }

  detach(): void {
    this.track.detach(this);
    this.track.limitBitrate(this, undefined);
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    this.#send(packet, payloadOffset, payloadEnd, telephoneEvent ? 'telephoneEvent' : undefined);
  }

  onComfortNoise(packet: Buffer, payloadOffset: number, payloadEnd: number): void {
    this.#send(packet, payloadOffset, payloadEnd, 'comfortNoise');
  }

  #send(packet: Buffer, payloadOffset: number, payloadEnd: number, kind: PacketKind): void {
    if (this.#channel.isCongested || packet.length > MAX_FORWARDED_PACKET) {
      this.#counts.packetsDropped += 1;
      this.#hasGap = true;
      this.#missing = this.track.picture?.generation;
      return;
    }
    if (this.#hasGap) {
      this.#hasGap = false;
      // Nothing decodes there before the next key frame.
      if (this.track.kind === 'video') this.track.requestKeyFrame();
    }
    this.#counts.packetsSent += 1;
    writePacket(this.#channel, this.number, packet, payloadOffset, payloadEnd, kind, -1);
  }

  onClock(reading: ClockReading): void {
    writeClock(this.#channel, this.number, reading);
  }

  limitBitrate(limits: Parameters<PublishedTrack['limitBitrate']>[1]): void {
    this.track.limitBitrate(this, limits);
  }

  /** A subscriber there needs a picture: the publisher is asked, which may be still and send nothing. */
  wantPicture(): void {
    this.track.requestKeyFrame();
    const { picture } = this.track;
    if (!picture || picture.generation !== this.#missing || this.#channel.isCongested) return;
    const ageMs = performance.now() - picture.newestAt;
    const { count } = picture;
    if (count === 0 || ageMs < STILL_MS) return;
    this.#missing = undefined;
    for (let i = 0; i < count; i += 1) {
      const payload = picture.payload(i);
      const packet = scratch.view(RTP_FIXED_HEADER + payload.length);
      const sequence = picture.newestSequence - (count - 1 - i);
      writeRtpHeader(packet, 0, picture.marker(i), sequence, picture.timestamp(i), picture.ssrc);
      payload.copy(packet, RTP_FIXED_HEADER);
      writePacket(this.#channel, this.number, packet, RTP_FIXED_HEADER, packet.length, undefined, ageMs);
    }
  }
}
