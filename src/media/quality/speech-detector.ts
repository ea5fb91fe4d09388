/** A level is speech if it is this far above the noise, in dB, ... */
const ABOVE_NOISE_DB = 12;
/** ... and not below this, in dB relative to full scale. */
const QUIETEST_DB = -55;
/** Somebody speaks once that much more of the audio was speech than was not, in ms. Clicks are shorter. */
const BEGIN_MS = 100;
/** Nobody speaks any more after so long without speech, in ms. Pauses between words are shorter. */
const END_MS = 600;
/** The noise is the lowest level of the last one to two of these windows, in ms. Nobody speaks so long without a pause. */
const WINDOW_MS = 1_500;
/** Time constant of the level that counts as noise, so that no short dip does, in ms. */
const NOISE_MS = 150;
/** The level of speech is the mean over so much of it, in ms. */
const MEAN_MS = 10_000;
/** Longest audio that one measurement stands for. */
const LONGEST_MS = 120;

const SILENCE_DB = -127;

/** Mean square of a level in dB relative to full scale. */
const powerOf = (db: number): number => 10 ** (db / 10);

/** Level of a mean square (1: full scale), in dB. */
export const levelOf = (meanSquare: number): number =>
  meanSquare > 0 ? Math.max(SILENCE_DB, 10 * Math.log10(meanSquare)) : SILENCE_DB;

/**
 * Tells by the levels of a stream when somebody speaks in it, and how loud. It follows the noise, so that steady noise of
 * any level is none.
 */
export class SpeechDetector {
  readonly #onChange: (isSpeaking: boolean) => void;
  #isSpeaking = false;
  #smoothDb = Number.NaN;
  #lowest = Infinity;
  #lowestBefore = Infinity;
  #windowMs = 0;
  /** How much more was speech than was not, of late. */
  #speechMs = 0;
  /** Since the last speech. */
  #quietMs = 0;
  #lastAt = 0;
  #meanPower = 0;
  #meanMs = 0;
  #peakDb = Number.NEGATIVE_INFINITY;

  /** @param onChange somebody begins or ceases to speak */
  constructor(onChange: (isSpeaking: boolean) => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Level of the speech so far, in dB relative to full scale; undefined before the first. */
  get levelDb(): number | undefined {
    return this.#meanMs > 0 ? levelOf(this.#meanPower) : undefined;
  }

  /** The loudest level since the last call, in dB relative to full scale; undefined if there was none. */
  takePeak(): number | undefined {
    const peak = this.#peakDb;
    this.#peakDb = Number.NEGATIVE_INFINITY;
    return peak === Number.NEGATIVE_INFINITY ? undefined : peak;
  }

  /** @param db level of the next piece of audio, relative to full scale @param ms its length */
  onLevel(db: number, ms: number, nowMs: number): void {
    const length = Math.min(LONGEST_MS, ms);
    this.#lastAt = nowMs;
    if (db > this.#peakDb) this.#peakDb = db;
    this.#followNoise(db, length);
    const noise = Math.min(this.#lowest, this.#lowestBefore);
    if (db >= QUIETEST_DB && db >= noise + ABOVE_NOISE_DB) this.#onSpeech(db, length);
    else this.#onQuiet(length);
  }

  /** To be called several times a second: a stream that ceases ends its speech. */
  poll(nowMs: number): void {
    if (this.#isSpeaking && nowMs - this.#lastAt >= END_MS) this.#change(false);
  }

  #followNoise(db: number, ms: number): void {
    const weight = Math.min(1, ms / NOISE_MS);
    this.#smoothDb = Number.isNaN(this.#smoothDb) ? db : this.#smoothDb + weight * (db - this.#smoothDb);
    this.#lowest = Math.min(this.#lowest, this.#smoothDb);
    this.#windowMs += ms;
    if (this.#windowMs < WINDOW_MS) return;
    this.#windowMs = 0;
    this.#lowestBefore = this.#lowest;
    this.#lowest = this.#smoothDb;
  }

  #onSpeech(db: number, ms: number): void {
    this.#quietMs = 0;
    this.#speechMs = Math.min(BEGIN_MS, this.#speechMs + ms);
    if (!this.#isSpeaking && this.#speechMs < BEGIN_MS) return;
    this.#meanMs = Math.min(MEAN_MS, this.#meanMs + ms);
    this.#meanPower += (powerOf(db) - this.#meanPower) * (ms / this.#meanMs);
    if (!this.#isSpeaking) this.#change(true);
  }

  #onQuiet(ms: number): void {
    this.#quietMs += ms;
    this.#speechMs = Math.max(0, this.#speechMs - ms);
    if (this.#isSpeaking && this.#quietMs >= END_MS) this.#change(false);
  }

  #change(isSpeaking: boolean): void {
    this.#isSpeaking = isSpeaking;
    this.#speechMs = 0;
    this.#quietMs = 0;
    this.#onChange(isSpeaking);
  }
}
