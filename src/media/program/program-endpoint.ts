import { randomUUID } from 'node:crypto';
import { DtmfRelay, FRAME_MS, type FrameListener, type Mixing, PcmTrack, DeviceMix } from '../audio/index.js';
import type { ProgramMediaEvent } from '../door.js';
import type { Endpoint, EndpointContext } from '../endpoint.js';
import { DtmfSender } from '../rtp/index.js';
import type { PublishedTrack } from '../track.js';
import {
  type DeviceStatistics,
  type MediaDtmf,
  MediaError,
  type ProgramSpec,
  type StreamLevelInfo,
} from '../types.js';
import { PlayQueue } from './play-queue.js';
import { programFormat } from './samples.js';
import { StreamChannel } from './stream-channel.js';

/**
 * After a silence, what comes waits for so long before it is played, unless more than a frame is there: a program that sends
 * in real time is not always on time.
 */
const RESERVE_MS = 5;
/** Audio that found no room is told this often. */
const OVERFLOW_MS = 1000;

/** A program in the media plane: what it sends is played in real time as one stream, and it receives 20 ms at a time. */
export class ProgramEndpoint implements Endpoint, FrameListener {
  readonly #context: EndpointContext<ProgramMediaEvent>;
  readonly #spec: ProgramSpec;
  readonly #mixing: Mixing;
  readonly #queue: PlayQueue;
  readonly #dtmf = new DtmfSender();
  readonly #published: PcmTrack;
  readonly #relay: DtmfRelay;
  /** Absent where each stream is received by itself. */
  readonly #mix: DeviceMix | undefined;
  #channels: readonly StreamChannel[] = [];
  #isPlaying = false;
  /** When the first of what waits came; undefined: nothing waits, or it is played. */
  #waitsSince: number | undefined;
  #framesSent = 0;
  #toldDropped = 0;
  #toldAt = -Infinity;
  #closed = false;

  constructor(context: EndpointContext<ProgramMediaEvent>, spec: ProgramSpec, mixing: Mixing) {
    this.#context = context;
    this.#spec = spec;
    this.#mixing = mixing;
    const { rate, queueMs, streamId = randomUUID() } = spec;
    this.#queue = new PlayQueue(rate, queueMs, (mark) => context.emit({ type: 'played', mark }));
    this.#published = new PcmTrack({
      streamId,
      rate,
      next: (out) => this.#next(out),
      dtmf: this.#dtmf,
      onSpeaking: (isSpeaking, levelDb) => context.emit({ type: 'speaking', streamId, isSpeaking, levelDb }),
    });
    this.#relay = new DtmfRelay((digit, durationMs, from) =>
      context.emit({ type: 'digit', streamId: from, digit, durationMs }),
    );
    if (spec.channels === 'mix') {
      this.#mix = new DeviceMix(mixing.groups, programFormat(rate));
      this.#mix.setOwn(this.#published.track);
    }
    context.setStreams([{ streamId, tracks: [this.#published.track] }]);
    mixing.clock.add(this);
  }

  setTracks(tracks: readonly PublishedTrack[], levelling: boolean): void {
    this.#relay.setTracks(tracks);
    if (this.#mix) this.#mix.setTracks(tracks, levelling);
    else this.#setChannels(tracks.filter(({ kind }) => kind === 'audio'));
  }

  play(pcm: Buffer): void {
    if (!this.#isPlaying && this.#queue.waiting === 0) this.#waitsSince = performance.now();
    this.#queue.add(pcm);
    this.#tellOverflow(performance.now());
  }

  mark(mark: string): void {
    this.#queue.mark(mark);
  }

  clear(): void {
    this.#queue.clear();
  }

  /** @throws MediaError TOO_MANY_DIGITS */
  sendDtmf({ digits, durationMs, gapMs }: MediaDtmf): void {
    if (this.#dtmf.room < digits.length)
      throw new MediaError('TOO_MANY_DIGITS', 'Too many digits of the program wait to be sent.');
    this.#dtmf.add(digits, durationMs, gapMs);
  }

  onFrame(frame: number, now: number): void {
    this.#published.onFrame(frame, now);
    this.#queue.tellPlayed();
    this.#relay.poll(now);
    this.#tellOverflow(now);
    if (this.#mix) this.#sendMix(this.#mix, frame);
    for (const channel of this.#channels) channel.onFrame(frame);
  }

  statistics(): DeviceStatistics {
    const { rate } = this.#spec;
    const frameSamples = (rate / 1000) * FRAME_MS;
    const packets = Math.floor(this.#queue.received / frameSamples);
    const { levelDb } = this.#published;
    return {
      packetsReceived: packets,
      bytesReceived: 2 * this.#queue.received,
      packetsSent: this.#framesSent,
      bytesSent: this.#framesSent * 2 * frameSamples,
      packetsLost: 0,
      jitterMs: 0,
      quality: {
        received: {
          packets,
          discarded: Math.ceil(this.#queue.dropped / frameSamples),
          ...(levelDb !== undefined && { levelDb }),
        },
        sent: { packets: this.#framesSent },
      },
    };
  }

  takeLevels(): StreamLevelInfo[] {
    return this.#published.takeLevels();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#mixing.clock.remove(this);
    this.#relay.close();
    this.#mix?.close();
    this.#setChannels([]);
    this.#published.track.end();
    return Promise.resolve();
  }

  #next(out: Int16Array): boolean {
    if (!this.#isPlaying) {
      if (this.#queue.waiting === 0) return false;
      const waitedMs = performance.now() - (this.#waitsSince ?? -Infinity);
      if (this.#queue.waiting <= out.length && waitedMs < RESERVE_MS) return false;
    }
    this.#waitsSince = undefined;
    this.#isPlaying = this.#queue.read(out);
    return this.#isPlaying;
  }

  #sendMix(mix: DeviceMix, frame: number): void {
    const group = mix.run(frame);
    for (let i = 0; i < group.ready; i += 1) this.#emit(Buffer.from(group.payloads[i]!));
  }

  #setChannels(tracks: readonly PublishedTrack[]): void {
    const kept = this.#channels.filter(({ track }) => tracks.includes(track));
    for (const channel of this.#channels) if (!kept.includes(channel)) channel.close();
    const added = tracks.filter((track) => !kept.some((channel) => channel.track === track));
    this.#channels = [
      ...kept,
      ...added.map(
        (track) => new StreamChannel(track, this.#spec.rate, (pcm) => this.#emit(pcm, track.streamId)),
      ),
    ];
  }

  #emit(pcm: Buffer, streamId?: string): void {
    this.#framesSent += 1;
    this.#context.emit({ type: 'audio', pcm, ...(streamId !== undefined && { streamId }) });
  }

  #tellOverflow(now: number): void {
    const dropped = this.#queue.dropped - this.#toldDropped;
    if (dropped === 0 || now - this.#toldAt < OVERFLOW_MS) return;
    this.#toldAt = now;
    this.#toldDropped = this.#queue.dropped;
    this.#context.emit({ type: 'overflow', droppedMs: Math.ceil((dropped * 1000) / this.#spec.rate) });
  }
}
