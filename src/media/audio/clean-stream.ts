import type { AudioCodec, SampleRate } from '../codecs/index.js';
import type { Played, PublishedTrack, TrackSink } from '../track.js';
import { FRAME_MS } from './mix-clock.js';
import { Playout } from './playout.js';
import { createRnnoise, loadRnnoise, RNNOISE_FRAME, type RnnoiseState } from './rnnoise.js';

/** The rate of RNNoise. */
const RATE = 48_000;
const FRAME = (RATE / 1000) * FRAME_MS;
/** Taps of the filter for each sample that is left out, and its edge as a share of the new rate. */
const TAPS = 64;
const EDGE = 0.48;

/**
 * A stream without its noise: decoded and cleaned once, however many mixes it is part of, and at whatever rates. It is
 * 20 ms late, by RNNoise, and up to 5 ms more where its rate is not that of the mix or RNNoise. Comfort noise is left
 * out: it is noise.
 */
export class CleanStream implements TrackSink {
  /** Decoders that read from it. */
  users = 0;
  readonly #playout: Playout;
  readonly #rnnoise: RnnoiseState;
  readonly #raw = new Int16Array(FRAME);
  readonly #clean = new Float32Array(FRAME);
  readonly #rates = new Map<SampleRate, Decimator>();
  #frame = -1;
  #isHeard = false;
  /** Somebody speaks in the present frame; else there is only what is left of the noise. */
  isSpeech = false;
  /** RNNoise holds back the last of what was heard. */
  #isDrained = true;

  constructor(codec: AudioCodec, rnnoise: RnnoiseState, now: () => number) {
    this.#playout = new Playout(codec, RATE, now);
    this.#rnnoise = rnnoise;
  }

  get played(): Played {
    const { late, overflow } = this.#playout.counters;
    return { discarded: late + overflow, concealedMs: this.#playout.concealedMs };
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    if (!telephoneEvent && payloadEnd > payloadOffset)
      this.#playout.insert(packet, payloadOffset, payloadEnd);
  }

  /** Writes a mix frame to `out` at a rate. @param now in ms @returns false if it is silence because no packets came */
  read(frame: number, rate: SampleRate, out: Int16Array, now: number): boolean {
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#next(now);
    }
    let decimator = this.#rates.get(rate);
    if (!decimator) this.#rates.set(rate, (decimator = new Decimator(RATE / rate)));
    decimator.read(frame, this.#clean, out);
    return this.#isHeard;
  }

  free(): void {
    this.#rnnoise.free();
  }

  #next(now: number): void {
    const comes = this.#playout.read(this.#raw, FRAME, now);
    this.#isHeard = comes || !this.#isDrained;
    this.#isDrained = !comes;
    if (!this.#isHeard) {
      this.#clean.fill(0);
      return;
    }
    this.isSpeech = false;
    for (let at = 0; at < FRAME; at += RNNOISE_FRAME) {
      this.#rnnoise.process(this.#raw, this.#clean, at);
      this.isSpeech ||= this.#rnnoise.isSpeech;
    }
  }
}

/** A decoder that can read a stream without its noise. */
interface CleanReader extends TrackSink {
  clean: CleanStream | undefined;
}

/** The streams of a host that are cleaned of noise; one for each track. */
export class CleanStreams {
  readonly #streams = new Map<PublishedTrack, CleanStream>();
  readonly #now: () => number;
  #isLoading = false;
  #failure: { readonly error: unknown } | undefined;

  /** @param now monotonic time in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Has a decoder read what its track wants now. RNNoise is loaded first: until then, the stream is heard as it is.
   * @throws what kept RNNoise from being loaded, once
   */
  change(track: PublishedTrack, codec: AudioCodec, decoder: CleanReader): void {
    if (!track.suppressesNoise) {
      this.release(track, decoder);
      track.attach(decoder);
      return;
    }
    const stream = this.#streams.get(track) ?? this.#make(track, codec);
    if (!stream) {
      this.#load();
      return;
    }
    track.detach(decoder);
    track.attach(stream);
    stream.users += 1;
    decoder.clean = stream;
  }

  /** A decoder does not read from its track's clean stream any more. */
  release(track: PublishedTrack, decoder: CleanReader): void {
    const stream = decoder.clean;
    if (!stream) return;
    decoder.clean = undefined;
    stream.users -= 1;
    if (stream.users > 0) return;
    track.detach(stream);
    stream.free();
    this.#streams.delete(track);
  }

  #make(track: PublishedTrack, codec: AudioCodec): CleanStream | undefined {
    const rnnoise = createRnnoise();
    if (!rnnoise) return undefined;
    const stream = new CleanStream(codec, rnnoise, this.#now);
    this.#streams.set(track, stream);
    return stream;
  }

  #load(): void {
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (this.#isLoading) return;
    this.#isLoading = true;
    loadRnnoise().catch((error: unknown) => {
      this.#failure = { error };
    });
  }
}

/** Lowers the rate of a stream by a whole factor with a windowed-sinc filter; keeps state. */
class Decimator {
  readonly #factor: number;
  readonly #taps: Float32Array;
  /** What the filter needs of the frames before, then the present one. */
  readonly #samples: Float32Array;
  readonly #out: Int16Array;
  #frame = -1;

  constructor(factor: number) {
    this.#factor = factor;
    this.#taps = lowPass(factor);
    this.#samples = new Float32Array(this.#taps.length - 1 + FRAME);
    this.#out = new Int16Array(FRAME / factor);
  }

  read(frame: number, input: Float32Array, out: Int16Array): void {
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#filter(input);
    }
    for (let i = 0; i < this.#out.length; i += 1) out[i] = this.#out[i]!;
  }

  #filter(input: Float32Array): void {
    const samples = this.#samples;
    const taps = this.#taps;
    const before = taps.length - 1;
    samples.copyWithin(0, FRAME);
    for (let i = 0; i < FRAME; i += 1) samples[before + i] = input[i]!;
    for (let i = 0, at = 0; i < this.#out.length; i += 1, at += this.#factor) {
      let sum = 0;
      for (let t = 0; t < taps.length; t += 1) sum += samples[at + t]! * taps[t]!;
      this.#out[i] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : Math.round(sum);
    }
  }
}

function lowPass(factor: number): Float32Array {
  if (factor === 1) return Float32Array.of(1);
  const length = TAPS * factor;
  const taps = Float32Array.from({ length }, (_, n) => {
    const x = (n - (length - 1) / 2) * ((2 * EDGE) / factor);
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    return sinc * (0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / length));
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}
