import type { SampleRate } from '../codecs/index.js';

/** The envelope is sampled so often; it changes little in that time. */
const BLOCKS_PER_SECOND = 200;
/** Time constant of each of the envelope's two stages (ITU-T P.56 section 6.2: 30 ms). */
const ENVELOPE_SECONDS = 0.03;
const KEEP = Math.exp(-1 / (BLOCKS_PER_SECOND * ENVELOPE_SECONDS));
/** Hangover of the activity (P.56: 200 ms). */
const HANGOVER_BLOCKS = 0.2 * BLOCKS_PER_SECOND;
/** Distance of the activity threshold from the active level (P.56: 15.9 dB). */
const MARGIN_DB = 15.9;
/** Thresholds, 6 dB apart, from half of full scale down (P.56 table 1, for 16 bits). */
const THRESHOLDS = Float64Array.from({ length: 15 }, (_, j) => 2 ** -(j + 1));
const THRESHOLDS_DB = THRESHOLDS.map((threshold) => 20 * Math.log10(threshold));

/** Speech is forgotten with this time constant; pauses do not count. */
const MEMORY_SECONDS = 8;
const FORGET = Math.exp(-1 / (BLOCKS_PER_SECOND * MEMORY_SECONDS));
/** Speech that it takes for a level. */
const MIN_ACTIVE_BLOCKS = 0.4 * BLOCKS_PER_SECOND;

/** What is below this is silence: -60 dBov. */
const SILENCE = 0.001;
/** Speech is this much above the noise (6 dB). */
const ABOVE_NOISE = 2;
/** The noise is the lowest envelope of one to two of these windows: longer than speech goes on without a gap. */
const NOISE_WINDOW_BLOCKS = 1.5 * BLOCKS_PER_SECOND;
/** A syllable rises by so much from the dip before it (6 dB). */
const SYLLABLE = 2;
/** A sound without syllables for so long is no speech. */
const STEADY_BLOCKS = 2 * BLOCKS_PER_SECOND;

/**
 * One of so many samples is looked at, about 50 in 20 ms, which levels need no more of. No divisors of a block, so that a tone
 * is not met in the same phase again and again.
 */
const STRIDES: Readonly<Record<SampleRate, number>> = { 8000: 3, 16_000: 7, 24_000: 9, 48_000: 19 };

/**
 * The active speech level of one stream, as ITU-T P.56 method B measures it, in a running form: what was said lately
 * counts most, and pauses count nothing, however long. Levels are in dBov: a full-scale square wave has 0.
 */
export class SpeechLevel {
  /** Of the block under way. */
  #magnitudes = 0;
  #squares = 0;
  #samples = 0;
  #counted = 0;
  /** Samples until the next one that is looked at. */
  #skip = 0;
  /** The envelope's two stages, relative to full scale. */
  #first = 0;
  #envelope = 0;
  /** Energy and active blocks at each threshold, both with the same forgetting. */
  #energy = 0;
  readonly #active = new Float64Array(THRESHOLDS.length);
  readonly #hangover = new Int32Array(THRESHOLDS.length);
  #speechHangover = 0;
  #speechBlocks = 0;
  #noiseBlocks = 0;
  #lowest = Infinity;
  #lowestBefore = Infinity;
  #crest = 0;
  #dip = Infinity;
  #sinceSyllable = STEADY_BLOCKS;
  /** Mean magnitudes of the blocks that were added last, and their number. */
  #latest = 0;
  /** Of the same blocks: the sum of their mean squares. */
  #latestEnergy = 0;
  #latestBlocks = 0;

  /** Takes the next samples of the stream: whole frames of 20 ms, or other multiples of 5 ms. */
  add(pcm: Int16Array, samples: number, rate: SampleRate): void {
    const length = rate / BLOCKS_PER_SECOND;
    this.#forgetLatest();
    const stride = STRIDES[rate];
    for (let at = 0; at < samples;) {
      const end = Math.min(samples, at + length - this.#samples);
      this.#samples += end - at;
      let magnitudes = 0;
      let squares = 0;
      let i = at + this.#skip;
      for (; i < end; i += stride) {
        const sample = pcm[i]!;
        magnitudes += sample < 0 ? -sample : sample;
        squares += sample * sample;
      }
      this.#counted += (i - at - this.#skip) / stride;
      this.#skip = i - end;
      this.#magnitudes += magnitudes;
      this.#squares += squares;
      at = end;
      if (this.#samples >= length) this.#endBlock();
    }
  }

  /** Takes silence of so many ms. */
  addSilence(ms: number): void {
    this.#forgetLatest();
    for (let blocks = (ms * BLOCKS_PER_SECOND) / 1000; blocks > 0; blocks -= 1) this.#endBlock();
  }

  /** The active speech level in dBov; undefined before there was enough speech. */
  get levelDb(): number | undefined {
    if (this.#speechBlocks < MIN_ACTIVE_BLOCKS || this.#energy <= 0) return undefined;
    let before: number | undefined;
    let levelBefore = 0;
    for (let j = 0; j < THRESHOLDS.length; j += 1) {
      if (this.#active[j]! <= 0) continue;
      const level = 10 * Math.log10(this.#energy / this.#active[j]!);
      const margin = level - THRESHOLDS_DB[j]!;
      if (margin >= MARGIN_DB) {
        if (before === undefined) return level;
        return levelBefore + ((level - levelBefore) * (MARGIN_DB - before)) / (margin - before);
      }
      before = margin;
      levelBefore = level;
    }
    return before === undefined ? undefined : levelBefore;
  }

  /** Level of the steady noise between words, in dBov; -Infinity for none. */
  get noiseDb(): number {
    const lowest = Math.min(this.#lowest, this.#lowestBefore);
    return toDb(lowest === Infinity ? 0 : lowest);
  }

  /** Whether there was speech within the last 200 ms: neither silence nor steady noise. */
  get isActive(): boolean {
    return this.#speechHangover > 0;
  }

  /** Whether what is heard now has syllables; steady tones and noise have none. */
  get isModulated(): boolean {
    return this.#sinceSyllable < STEADY_BLOCKS;
  }

  /** Level of what was added last, in dBov; -Infinity for none. */
  get momentaryDb(): number {
    return toDb(this.#latest / Math.max(1, this.#latestBlocks));
  }

  /** Mean square of what was added last; 1: full scale. */
  get momentaryPower(): number {
    return this.#latestEnergy / Math.max(1, this.#latestBlocks);
  }

  #forgetLatest(): void {
    this.#latest = 0;
    this.#latestEnergy = 0;
    this.#latestBlocks = 0;
  }

  #endBlock(): void {
    const count = Math.max(1, this.#counted);
    const magnitude = this.#magnitudes / count / 32768;
    this.#latest += magnitude;
    this.#latestBlocks += 1;
    const energy = this.#squares / count / 2 ** 30;
    this.#latestEnergy += energy;
    this.#magnitudes = 0;
    this.#squares = 0;
    this.#samples = 0;
    this.#counted = 0;
    this.#first = KEEP * this.#first + (1 - KEEP) * magnitude;
    this.#envelope = KEEP * this.#envelope + (1 - KEEP) * this.#first;
    this.#followNoise();
    this.#followSyllables();
    if (this.#isSpeech()) this.#speechHangover = HANGOVER_BLOCKS;
    else if (this.#speechHangover > 0) this.#speechHangover -= 1;
    if (this.#speechHangover > 0) this.#measure(energy);
  }

  #isSpeech(): boolean {
    const noise = Math.min(this.#lowest, this.#lowestBefore);
    return this.#envelope > SILENCE && this.#envelope > ABOVE_NOISE * noise;
  }

  #measure(energy: number): void {
    this.#speechBlocks += 1;
    this.#energy = FORGET * this.#energy + energy;
    for (let j = 0; j < THRESHOLDS.length; j += 1) {
      if (this.#envelope >= THRESHOLDS[j]!) this.#hangover[j] = HANGOVER_BLOCKS;
      const active = this.#hangover[j]! > 0 ? 1 : 0;
      this.#hangover[j]! -= active;
      this.#active[j] = FORGET * this.#active[j]! + active;
    }
  }

  #followNoise(): void {
    if (this.#envelope < this.#lowest) this.#lowest = this.#envelope;
    this.#noiseBlocks += 1;
    if (this.#noiseBlocks < NOISE_WINDOW_BLOCKS) return;
    this.#noiseBlocks = 0;
    this.#lowestBefore = this.#lowest;
    this.#lowest = this.#envelope;
  }

  /** A syllable is a crest, a dip and a rise out of it. */
  #followSyllables(): void {
    this.#sinceSyllable += 1;
    const envelope = this.#envelope;
    if (envelope < SILENCE) return;
    if (envelope > this.#crest && this.#dip === Infinity) this.#crest = envelope;
    else if (envelope * SYLLABLE < this.#crest && envelope < this.#dip) this.#dip = envelope;
    if (envelope <= SYLLABLE * this.#dip) return;
    this.#sinceSyllable = 0;
    this.#crest = envelope;
    this.#dip = Infinity;
  }
}

/** The level of noise or speech whose magnitudes have this mean: their RMS is about 2 dB above it. */
function toDb(mean: number): number {
  return mean === 0 ? -Infinity : 20 * Math.log10(mean) + 2;
}
