import type { SampleRate } from '../codecs/index.js';
import { FRAME_MS } from './mix-clock.js';
import { SpeechLevel } from './speech-level.js';

/** Level that speech is brought to, in dBov: the nominal level of telephony (ITU-T P.50, G.111). */
const TARGET_DB = -26;
/** Bounds of the gain: quieter or louder speakers than these can make up for stay different. */
const MAX_GAIN_DB = 18;
const MIN_GAIN_DB = -18;
/** Steady noise is not raised above this (dBov). */
const NOISE_CEILING_DB = -55;
/** An error this small is left. */
const TOLERANCE_DB = 0.5;
/** The gain moves by this share of the error in a frame (time constant 1 s), and at most by this step (6 dB a second). */
const SHARE = FRAME_MS / 1000;
const MAX_STEP_DB = (6 * FRAME_MS) / 1000;
/** Frames between two looks at the level, which changes slowly. */
const LOOK_FRAMES = 5;
/** What is below this is silence (dBov). */
const SILENCE_DB = -60;
/** The same for what is no louder than the steady noise of the stream, by this distance. */
const QUIET_NOISE_DB = -50;
const NOISE_DISTANCE_DB = 6;
/** A stream is left out of mixes after so much silence. */
const SILENT_FRAMES = 400 / FRAME_MS;

/**
 * The gain by which one stream's speech comes to the same loudness as everyone's. It moves slowly, only while there is
 * speech, and stays where it is in silence, noise and steady tones. The samples do not need it at one rate only: whichever
 * decoder of the stream comes first in a frame has it measured.
 */
export class Leveller {
  readonly speech = new SpeechLevel();
  /** Factor at the end of the present frame; what it was at the start is {@link before}. */
  gain = 1;
  before = 1;
  #gainDb = 0;
  #targetDb = 0;
  #frame = -1;
  #frames = 0;
  #silentFrames = SILENT_FRAMES;
  /** Of the last comfort noise. */
  #comfortDb = -Infinity;

  /**
   * Takes what was decoded for a mix frame; undefined: silence.
   * @param comfortDb level of the comfort noise that it is, which the publisher sent in place of speech
   */
  take(frame: number, pcm: Int16Array | undefined, rate: SampleRate, comfortDb?: number): void {
    if (frame === this.#frame) return;
    this.#frame = frame;
    if (comfortDb !== undefined) this.#comfortDb = comfortDb;
    if (pcm && comfortDb === undefined) this.speech.add(pcm, pcm.length, rate);
    else this.speech.addSilence(FRAME_MS);
    this.before = this.gain;
    this.#silentFrames = this.#isSound(comfortDb) ? 0 : this.#silentFrames + 1;
    if (!this.speech.isActive || !this.speech.isModulated) return;
    if (this.#frames % LOOK_FRAMES === 0) this.#look();
    this.#frames += 1;
    const error = this.#targetDb - this.#gainDb;
    if (Math.abs(error) < TOLERANCE_DB) return;
    this.#gainDb += Math.max(-MAX_STEP_DB, Math.min(MAX_STEP_DB, error * SHARE));
    this.gain = 10 ** (this.#gainDb / 20);
  }

  /** Whether there was any sound in the last 400 ms; quiet steady noise is none. */
  get isAudible(): boolean {
    return this.#silentFrames < SILENT_FRAMES;
  }

  #isSound(comfortDb: number | undefined): boolean {
    if (comfortDb !== undefined) return comfortDb > QUIET_NOISE_DB;
    const { momentaryDb } = this.speech;
    if (momentaryDb < SILENCE_DB) return false;
    return momentaryDb > QUIET_NOISE_DB || momentaryDb > this.speech.noiseDb + NOISE_DISTANCE_DB;
  }

  #look(): void {
    const { levelDb, noiseDb } = this.speech;
    if (levelDb === undefined) return;
    const most = Math.max(0, Math.min(MAX_GAIN_DB, NOISE_CEILING_DB - Math.max(noiseDb, this.#comfortDb)));
    this.#targetDb = Math.max(MIN_GAIN_DB, Math.min(most, TARGET_DB - levelDb));
  }
}
