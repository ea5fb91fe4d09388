import type { Log } from '../../shared/index.js';
import { LastPicture } from '../browser/index.js';
import { type SubscriberLimits, PublishedTrack } from '../track.js';
import type { LiveStream } from '../endpoint.js';
import type { RemoteStreams } from '../live-streams.js';
import { MAX_FORWARDED_PACKET, PacketScratch } from '../rtp/index.js';
import {
  FRAME,
  type PacketFrame,
  readClock,
  readPacket,
  readStream,
  readTrackNumber,
  type StreamFrame,
  type TrackFrame,
  writeBitrate,
  writeKeyFrame,
} from './frames.js';
import type { RecordChannel } from './record-channel.js';
import type { PacketCounts } from './sent-streams.js';

/** Most tracks that one connection may bring; a host has room for far fewer. */
const MAX_TRACKS = 8192;

interface ReceivedTrack {
  readonly number: number;
  readonly track: PublishedTrack;
  readonly picture: LastPicture | undefined;
}

interface ReceivedStream {
  readonly stream: LiveStream;
  readonly tracks: readonly ReceivedTrack[];
}

const scratch = new PacketScratch();

/** The streams of another host, as they come over one connection: devices here receive them like any others. */
export class ReceivedStreams {
  readonly #streams: RemoteStreams;
  readonly #channel: RecordChannel;
  readonly #counts: PacketCounts;
  readonly #log: Log;
  readonly #tracks = new Map<number, ReceivedTrack>();
  readonly #received = new Map<string, ReceivedStream>();
  readonly #packet: PacketFrame = {
    track: 0,
    telephoneEvent: false,
    comfortNoise: false,
    kept: false,
    ageMs: 0,
    payloadOffset: 0,
    payloadEnd: 0,
    start: 0,
    length: 0,
  };

  constructor(streams: RemoteStreams, channel: RecordChannel, counts: PacketCounts, log: Log) {
    this.#streams = streams;
    this.#channel = channel;
    this.#counts = counts;
    this.#log = log;
  }

  /** Takes a frame. @throws Error when it makes no sense */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME.packet) this.#onPacket(bytes, start, end);
    else if (type === FRAME.clock)
      this.#tracks.get(readTrackNumber(bytes, start, end))?.track.setClock(readClock(bytes, start, end));
    else if (type === FRAME.stream) this.#onStream(readStream(bytes, start, end));
    else throw new Error(`A frame has the unknown type ${type}.`);
  }

  /** The connection is gone: the streams end. */
  close(): void {
    const before = [...this.#received.values()];
    this.#received.clear();
    this.#tracks.clear();
    this.#streams.replace(
      before.map(({ stream }) => stream),
      [],
    );
    for (const { tracks } of before) for (const { track } of tracks) track.end();
  }

  #onPacket(bytes: Buffer, start: number, end: number): void {
    const frame = this.#packet;
    readPacket(bytes, start, end, frame);
    const received = this.#tracks.get(frame.track);
    if (!received || frame.length > MAX_FORWARDED_PACKET) return;
    const packet = scratch.view(frame.length);
    bytes.copy(packet, 0, frame.start, frame.start + frame.length);
    const { payloadOffset, payloadEnd } = frame;
    const { picture, track } = received;
    const now = performance.now();
    if (frame.kept) {
      picture?.onPacket(packet, payloadOffset, payloadEnd, now - frame.ageMs);
      return;
    }
    this.#counts.packetsReceived += 1;
    picture?.onPacket(packet, payloadOffset, payloadEnd, now);
    try {
      if (frame.comfortNoise) track.pushComfortNoise(packet, payloadOffset, payloadEnd);
      else track.push(packet, payloadOffset, payloadEnd, frame.telephoneEvent);
    } catch (error) {
      // The fault of one subscriber must not end the streams of all.
      this.#log.error({ err: error }, 'failed to handle media of another host');
    }
  }

  #onStream({ streamId, publisherMsid, tracks: frames }: StreamFrame): void {
    const before = this.#received.get(streamId);
    const tracks = frames.map(
      (frame) => this.#tracks.get(frame.number) ?? this.#receivedTrack(streamId, frame),
    );
    const stream = {
      streamId,
      ...(publisherMsid === undefined ? {} : { publisherMsid }),
      tracks: tracks.map(({ track }) => track),
    };
    const isLive = tracks.length > 0;
    if (isLive) this.#received.set(streamId, { stream, tracks });
    else this.#received.delete(streamId);
    this.#streams.replace(before ? [before.stream] : [], isLive ? [stream] : []);
    for (const { number, track } of before?.tracks ?? []) {
      if (tracks.some((kept) => kept.number === number)) continue;
      this.#tracks.delete(number);
      track.end();
    }
  }

  #receivedTrack(streamId: string, { number, kind, codec }: TrackFrame): ReceivedTrack {
    if (this.#tracks.size >= MAX_TRACKS) throw new Error('There are too many tracks.');
    const requestKeyFrame = (): void => writeKeyFrame(this.#channel, number);
    const picture = kind === 'video' ? new LastPicture(codec.name, requestKeyFrame) : undefined;
    const track = new PublishedTrack({
      kind,
      streamId,
      codec,
      requestKeyFrame,
      limitBitrate: this.#bitrateListener(number),
      ...(picture ? { picture } : {}),
    });
    const received = { number, track, picture };
    this.#tracks.set(number, received);
    return received;
  }

  /** Passes on the limits of the subscribers here when they change. */
  #bitrateListener(number: number): (bitsPerSecond: number, limits: SubscriberLimits) => void {
    let told = '';
    return (_bitsPerSecond, limits) => {
      const text = `${String(limits.thinned)} ${limits.bitsPerSecond.join()}`;
      if (text === told) return;
      told = text;
      writeBitrate(this.#channel, number, limits);
    };
  }
}
