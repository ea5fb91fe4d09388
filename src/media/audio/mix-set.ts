import { levelOf, type Limiter, peakOf, SILENCE_DB } from './limiter.js';
import type { StreamDecoder } from './stream-decoder.js';

/** Fewer streams are summed faster than they are taken out of a larger sum. */
const MIN_DERIVED = 3;
/** A mix below this is silence where an encoder is exchanged: -54 dB of full scale. */
const QUIET = 64;

/** The sum of some streams at one rate, made once in a frame however many hear it. */
export class MixSet {
  readonly key: string;
  readonly streams: readonly StreamDecoder[];
  /** How many sets and groups need it. */
  users = 0;
  /** Several groups hear it. */
  isShared = false;
  /** The frame's samples where they are known to be within full scale: of at most one stream. */
  pcm: Int16Array | undefined;
  /** Frames in a row that were as good as silent. */
  quietFrames = 0;
  readonly #sum: Int32Array;
  /** While they are heard, all else is lower. */
  readonly #announcements: readonly StreamDecoder[];
  #frame = -1;
  #peak = 0;
  /** Sum of these streams and one more, and that stream: less work when others need that sum too. */
  #larger: MixSet | undefined;
  #without: StreamDecoder | undefined;

  constructor(key: string, streams: readonly StreamDecoder[], length: number) {
    this.key = key;
    this.streams = streams;
    this.#sum = new Int32Array(length);
    this.#announcements = streams.filter(({ isAnnouncement }) => isAnnouncement);
    if (streams.length === 0) this.pcm = new Int16Array(length);
  }

  /** The set that this one may be derived from. */
  get larger(): MixSet | undefined {
    return this.#larger;
  }

  get hasAnnouncements(): boolean {
    return this.#announcements.length > 0;
  }

  /** Has this set derived from one that has a stream more. */
  derive(larger: MixSet | undefined, without: StreamDecoder | undefined): void {
    this.#larger = larger;
    this.#without = without;
  }

  /** Whether there was a sound in any stream of late. */
  get isAudible(): boolean {
    for (let i = 0; i < this.streams.length; i += 1) if (this.streams[i]!.isAudible) return true;
    return false;
  }

  /** Level of the present frame in dBov, where that is one stream's; -127 for silence. */
  get levelDb(): number {
    return this.pcm ? levelOf(this.pcm) : SILENCE_DB;
  }

  /** Mixes a frame, for which the streams have been read. */
  mix(frame: number): void {
    if (frame === this.#frame) return;
    this.#frame = frame;
    if (this.streams.length > 1) this.#add(frame);
    else if (this.streams.length === 1) this.pcm = this.streams[0]!.samples;
    this.quietFrames = this.#isQuiet() ? this.quietFrames + 1 : 0;
  }

  /** Writes the frame to `out` from `at`. */
  limit(limiter: Limiter, out: Int16Array, at: number): void {
    const { pcm } = this;
    if (!pcm) {
      limiter.limit(this.#sum, this.#peak, out, at);
    } else if (limiter.gain === 1) {
      for (let i = 0; i < pcm.length; i += 1) out[at + i] = pcm[i]!;
    } else {
      this.#sum.set(pcm);
      limiter.limit(this.#sum, peakOf(this.#sum), out, at);
    }
  }

  #isQuiet(): boolean {
    if (this.streams.length === 0) return true;
    return this.pcm ? this.streams[0]!.isSilent : this.#peak < QUIET;
  }

  #add(frame: number): void {
    const sum = this.#sum;
    if (this.#larger && this.#without && this.#larger.users > 1) {
      this.#larger.mix(frame);
      const all = this.#larger.#sum;
      const one = this.#without.samples;
      for (let i = 0; i < sum.length; i += 1) sum[i] = all[i]! - one[i]!;
    } else if (this.hasAnnouncements) this.#addLowered(sum);
    else this.#addAll(sum);
    this.#peak = peakOf(sum);
  }

  #addLowered(sum: Int32Array): void {
    sum.fill(0);
    let [before, after] = [1, 1];
    for (const announcement of this.#announcements) {
      before = Math.min(before, announcement.othersBefore);
      after = Math.min(after, announcement.others);
    }
    for (const { isSilent, isAnnouncement, samples } of this.streams) {
      if (!isSilent && !isAnnouncement) for (let i = 0; i < sum.length; i += 1) sum[i]! += samples[i]!;
    }
    const step = (after - before) / sum.length;
    for (let i = 0; i < sum.length; i += 1) sum[i] = Math.round(sum[i]! * (before + step * (i + 1)));
    for (const { isSilent, samples } of this.#announcements) {
      if (!isSilent) for (let i = 0; i < sum.length; i += 1) sum[i]! += samples[i]!;
    }
  }

  #addAll(sum: Int32Array): void {
    let isFirst = true;
    for (const { isSilent, samples } of this.streams) {
      if (isSilent) continue;
      if (isFirst) for (let i = 0; i < sum.length; i += 1) sum[i] = samples[i]!;
      else for (let i = 0; i < sum.length; i += 1) sum[i]! += samples[i]!;
      isFirst = false;
    }
    if (isFirst) sum.fill(0);
  }
}

/** The sets in use, each once. */
export class MixSets {
  readonly #sets = new Map<string, MixSet>();

  get size(): number {
    return this.#sets.size;
  }

  /**
   * The set of some streams, in the order of their ids; in use from now on.
   * @param length samples of a frame
   * @param scope tells sets without streams apart
   * @param own a stream that is heard by others together with these
   */
  acquire(streams: readonly StreamDecoder[], length: number, scope: number, own?: StreamDecoder): MixSet {
    const set = this.#find(streams, length, scope);
    set.users += 1;
    if (!own || streams.length < MIN_DERIVED || set.larger || streams.includes(own)) return set;
    if (set.hasAnnouncements || own.isAnnouncement) return set;
    const larger = this.#find(
      [...streams, own].sort((a, b) => a.id - b.id),
      length,
      scope,
    );
    larger.users += 1;
    set.derive(larger, own);
    return set;
  }

  release(set: MixSet): void {
    set.users -= 1;
    if (set.users > 0) return;
    this.#sets.delete(set.key);
    const { larger } = set;
    set.derive(undefined, undefined);
    if (larger) this.release(larger);
  }

  #find(streams: readonly StreamDecoder[], length: number, scope: number): MixSet {
    const ids = streams.map(({ id }) => id).join();
    const key = ids === '' ? `${length} ${scope}` : ids;
    const known = this.#sets.get(key);
    if (known) return known;
    const set = new MixSet(key, streams, length);
    this.#sets.set(key, set);
    return set;
  }
}
