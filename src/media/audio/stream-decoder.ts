import { type AudioCodec, findAudioCodec, type SampleRate } from '../codecs/index.js';
import type { PcmSource, Played, PublishedTrack, TrackSink } from '../track.js';
import { CleanStreams, type CleanStream } from './clean-stream.js';
import { Leveller } from './leveller.js';
import { levelOf, Limiter, peakOf } from './limiter.js';
import { FRAME_MS } from './mix-clock.js';
import { Playout } from './playout.js';

/** Factor of all else while an announcement is heard: 12 dB less. It is reached, and left again, in two frames. */
const LOWERED = 0.25;
const LOWER_STEP = (1 - LOWERED) / 2;
/** An announcement is part of mixes for so long after its end, so that all else rises again in them. */
const AFTER_FRAMES = 100 / FRAME_MS;

/** Somebody who hears a stream, or publishes it: told when it becomes audible or silent. */
export interface StreamListener {
  streamChanged(): void;
}

interface Entry {
  readonly track: PublishedTrack;
  readonly codec: AudioCodec;
  readonly decoder: StreamDecoder;
  readonly listeners: Set<StreamListener>;
}

const keyOf = (rate: SampleRate, levelling: boolean): number => (levelling ? rate : -rate);

/**
 * The decoders in use: one for each track and sample rate (and another where its level stays as it is), attached to its
 * track while a mix uses it.
 */
export class DecoderPool {
  /** By track and {@link keyOf}. */
  readonly #tracks = new Map<PublishedTrack, Map<number, Entry>>();
  /** One for all decoders of a track; lasts as long as the track, so that its level is not forgotten while nobody hears it. */
  readonly #levellers = new WeakMap<PublishedTrack, Leveller>();
  readonly #publishers = new WeakMap<PublishedTrack, StreamListener>();
  /** All entries in one list: iterating it allocates nothing in a frame. */
  readonly #entries: Entry[] = [];
  readonly #now: () => number;
  readonly #clean: CleanStreams;
  #ids = 0;

  /** @param now monotonic time in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#clean = new CleanStreams(now);
  }

  /** Decoders in use. */
  get size(): number {
    return this.#entries.length;
  }

  /** @returns undefined when the track's codec cannot be mixed */
  acquire(
    track: PublishedTrack,
    rate: SampleRate,
    levelling: boolean,
    listener: StreamListener,
  ): StreamDecoder | undefined {
    const codec = findAudioCodec(track.codec.name, track.codec.clockRate);
    if (!codec) return undefined;
    const byKey = this.#tracks.get(track) ?? new Map<number, Entry>();
    const known = byKey.get(keyOf(rate, levelling));
    if (known) {
      known.listeners.add(listener);
      return known.decoder;
    }
    const leveller = this.#levellers.get(track) ?? new Leveller();
    this.#levellers.set(track, leveller);
    this.#ids += 1;
    const source = track.pcm ?? new Playout(codec, rate, this.#now);
    const decoder = new StreamDecoder(this.#ids, source, rate, leveller, {
      isLevelled: levelling && !track.isAnnouncement,
      isAnnouncement: track.isAnnouncement,
    });
    const entry: Entry = { track, codec, decoder, listeners: new Set([listener]) };
    byKey.set(keyOf(rate, levelling), entry);
    this.#tracks.set(track, byKey);
    this.#entries.push(entry);
    if (!track.pcm) track.attach(decoder);
    return decoder;
  }

  release(track: PublishedTrack, rate: SampleRate, levelling: boolean, listener: StreamListener): void {
    const byKey = this.#tracks.get(track);
    const entry = byKey?.get(keyOf(rate, levelling));
    if (!byKey || !entry) return;
    entry.listeners.delete(listener);
    if (entry.listeners.size > 0) return;
    this.#clean.release(track, entry.decoder);
    track.detach(entry.decoder);
    byKey.delete(keyOf(rate, levelling));
    if (byKey.size === 0) this.#tracks.delete(track);
    this.#entries.splice(this.#entries.indexOf(entry), 1);
  }

  /** The decoder of a track, if anybody hears it. */
  find(track: PublishedTrack, rate: SampleRate, levelling: boolean): StreamDecoder | undefined {
    return this.#tracks.get(track)?.get(keyOf(rate, levelling))?.decoder;
  }

  /** Tells who publishes a track. */
  publishes(track: PublishedTrack, publisher: StreamListener): void {
    this.#publishers.set(track, publisher);
  }

  /**
   * Decodes a frame of each stream.
   * @throws what a decoder threw, once all others have been read
   */
  read(frame: number): void {
    let failed: { readonly error: unknown } | undefined;
    // Once for all: a time is a number on the heap.
    const now = this.#now();
    for (let i = 0; i < this.#entries.length; i += 1) {
      const { track, codec, decoder, listeners } = this.#entries[i]!;
      const wasAudible = decoder.isAudible;
      try {
        // What is made here has no noise.
        if (!track.pcm && track.suppressesNoise !== (decoder.clean !== undefined))
          this.#clean.change(track, codec, decoder);
        decoder.read(frame, now);
      } catch (error) {
        decoder.silence();
        failed ??= { error };
      }
      if (decoder.isAudible === wasAudible) continue;
      for (const listener of listeners) listener.streamChanged();
      this.#publishers.get(track)?.streamChanged();
    }
    if (failed) throw failed.error;
  }
}

/** One published audio track as levelled samples at one rate, decoded once however many mixes it is part of. */
export class StreamDecoder implements TrackSink {
  /** Sets of streams are ordered by it. */
  readonly id: number;
  /** The present frame. */
  samples: Int16Array;
  /** Whether all of the present frame is zero. */
  isSilent = true;
  isAudible = false;
  /** Where it gets the stream without its noise; absent: it decodes the packets itself. */
  clean: CleanStream | undefined;
  /** While it is heard, all else in a mix is lower. */
  readonly isAnnouncement: boolean;
  /** An announcement's factor for all else, at the start and the end of the present frame. */
  othersBefore = 1;
  others = 1;
  #framesAfter = AFTER_FRAMES;
  /** Plays its packets; absent for a stream that is made in this process. */
  readonly #playout: Playout | undefined;
  readonly #source: PcmSource | undefined;
  readonly #rate: SampleRate;
  readonly #leveller: Leveller;
  readonly #isLevelled: boolean;
  readonly #pcm: Int16Array;
  readonly #levelled: Int16Array;
  /** For the shout of somebody quiet, who is turned up still. */
  readonly #limiter = new Limiter();
  #wide: Int32Array | undefined;
  #hasRead = false;

  constructor(
    id: number,
    source: Playout | PcmSource,
    rate: SampleRate,
    leveller: Leveller,
    { isLevelled, isAnnouncement }: { readonly isLevelled: boolean; readonly isAnnouncement: boolean },
  ) {
    this.id = id;
    this.isAnnouncement = isAnnouncement;
    if (source instanceof Playout) this.#playout = source;
    else this.#source = source;
    this.#rate = rate;
    this.#leveller = leveller;
    this.#isLevelled = isLevelled;
    this.#pcm = new Int16Array((rate / 1000) * FRAME_MS);
    this.#levelled = new Int16Array(isLevelled ? this.#pcm.length : 0);
    this.samples = this.#pcm;
  }

  get power(): number | undefined {
    return this.#hasRead ? this.#leveller.speech.momentaryPower : undefined;
  }

  get played(): Played {
    const { late = 0, overflow = 0 } = this.#playout?.counters ?? {};
    return { discarded: late + overflow, concealedMs: this.#playout?.concealedMs ?? 0 };
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    // A packet without a payload only probes the network.
    if (!telephoneEvent && payloadEnd > payloadOffset)
      this.#playout?.insert(packet, payloadOffset, payloadEnd);
  }

  onComfortNoise(packet: Buffer, payloadOffset: number, payloadEnd: number): void {
    this.#playout?.comfort(packet, payloadOffset, payloadEnd);
  }

  /** Decodes the next frame, at a time in ms. */
  read(frame: number, now: number): void {
    const isHeard = this.#fill(frame, now);
    const leveller = this.#leveller;
    this.#hasRead = true;
    leveller.take(frame, isHeard ? this.#pcm : undefined, this.#rate, this.#noiseDb());
    this.isAudible = leveller.isAudible;
    if (this.isAnnouncement) this.#lowerOthers(isHeard);
    this.isSilent = !isHeard;
    const isChanged = this.#isLevelled && (leveller.before !== 1 || leveller.gain !== 1);
    if (isHeard && isChanged) this.#level(leveller.before, leveller.gain);
    else this.samples = this.#pcm;
  }

  /** Pauses in an announcement are part of it. */
  #lowerOthers(isHeard: boolean): void {
    this.#framesAfter = isHeard ? 0 : this.#framesAfter + 1;
    this.isAudible = this.#framesAfter < AFTER_FRAMES;
    this.othersBefore = this.others;
    this.others = isHeard
      ? Math.max(LOWERED, this.others - LOWER_STEP)
      : Math.min(1, this.others + LOWER_STEP);
  }

  /** @returns false for silence */
  #fill(frame: number, now: number): boolean {
    if (this.clean) return this.clean.read(frame, this.#rate, this.#pcm, now);
    if (this.#playout) return this.#playout.read(this.#pcm, this.#pcm.length, now);
    const isSound = this.#source!.read(frame, this.#rate, this.#pcm);
    if (!isSound) this.#pcm.fill(0);
    return isSound;
  }

  /** Level of the present frame, in dBov, if it is known to be noise: it is not brought to the level of speech. */
  #noiseDb(): number | undefined {
    if (!this.clean) return this.#playout?.noiseDb;
    return this.clean.isSpeech ? undefined : levelOf(this.#pcm);
  }

  /** Makes the present frame silent. */
  silence(): void {
    this.samples.fill(0);
    this.isSilent = true;
  }

  #level(before: number, gain: number): void {
    const pcm = this.#pcm;
    const levelled = this.#levelled;
    this.samples = levelled;
    const step = (gain - before) / pcm.length;
    let factor = before;
    let isOver = this.#limiter.gain !== 1;
    for (let i = 0; i < pcm.length; i += 1) {
      factor += step;
      // Cheaper than Math.round.
      const sample = Math.floor(pcm[i]! * factor + 0.5);
      if (sample > 32767 || sample < -32768) isOver = true;
      levelled[i] = sample;
    }
    if (isOver) this.#limit(before, step);
  }

  #limit(before: number, step: number): void {
    const wide = (this.#wide ??= new Int32Array(this.#pcm.length));
    for (let i = 0; i < wide.length; i += 1)
      wide[i] = Math.floor(this.#pcm[i]! * (before + (i + 1) * step) + 0.5);
    this.#limiter.limit(wide, peakOf(wide), this.#levelled, 0);
  }
}
