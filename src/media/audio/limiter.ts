/** Parts of a frame in each of which the gain is a straight line. */
const PARTS = 16;
/** Peaks over full scale are brought to this: a little below, so that whoever decodes it does not clip either. */
const CEILING = 32_000;
const FULL_SCALE = 32_767;
/** The gain falls by at most so much in a part (1.25 ms), by beginning early, as long as the frame leaves room for that. */
const MAX_FALL = 10 ** (-1.5 / 20);
/** After a peak the gain stays for so many frames: half a second, longer than the gap between two words. */
const HOLD_FRAMES = 25;
/** Then it rises by so much in a frame: 8 dB a second. */
const RISE = 10 ** ((8 * 0.02) / 20);
/** In silence, where nobody hears it: 100 dB a second. */
const SILENT_RISE = 10 ** ((100 * 0.02) / 20);
const SILENCE = 64;
/** A peak this near to the ceiling holds the gain (1 dB). */
const NEAR = 10 ** (1 / 20);

export const SILENCE_DB = -127;

/** Level of samples in dBov; -127 for silence. */
export function levelOf(pcm: Int16Array): number {
  let squares = 0;
  for (let i = 0; i < pcm.length; i += 1) squares += pcm[i]! * pcm[i]!;
  return Math.max(SILENCE_DB, 10 * Math.log10(squares / pcm.length / 2 ** 30));
}

/** The largest magnitude; -32768 counts as 32767, since both are full scale. */
export function peakOf(sum: Int32Array): number {
  let peak = 0;
  for (let i = 0; i < sum.length; i += 1) {
    const sample = sum[i]!;
    const magnitude = sample ^ (sample >> 31);
    if (magnitude > peak) peak = magnitude;
  }
  return peak;
}

/**
 * Brings sums that exceed full scale below it by turning all down for a while, in place of clipping them. Adds no delay:
 * within a frame it looks ahead. What does not exceed full scale passes unchanged.
 */
export class Limiter {
  #gain = 1;
  #hold = 0;
  /** Gain that each part allows, and gain at its start; one more for the frame's end. */
  readonly #allowed = new Float64Array(PARTS);
  readonly #line = new Float64Array(PARTS + 1);

  /** The gain at the end of the last frame; 1: nothing is limited. */
  get gain(): number {
    return this.#gain;
  }

  /** Goes on where another one is. */
  follow(other: Limiter): void {
    this.#gain = other.#gain;
    this.#hold = other.#hold;
  }

  /** Writes a frame to `out` from `at`. @param peak {@link peakOf} the frame */
  limit(sum: Int32Array, peak: number, out: Int16Array, at: number): void {
    if (this.#gain === 1 && peak <= FULL_SCALE) {
      for (let i = 0; i < sum.length; i += 1) out[at + i] = sum[i]!;
      return;
    }
    this.#plan(sum, peak);
    const length = sum.length / PARTS;
    for (let part = 0, i = 0; part < PARTS; part += 1) {
      let gain = this.#line[part]!;
      const step = (this.#line[part + 1]! - gain) / length;
      for (let end = i + length; i < end; i += 1) {
        gain += step;
        out[at + i] = Math.trunc(sum[i]! * gain);
      }
    }
    const last = this.#line[PARTS]!;
    this.#gain = last > 0.9999 ? 1 : last;
  }

  /** Draws the gain's line through the frame. */
  #plan(sum: Int32Array, peak: number): void {
    const line = this.#line;
    const allowed = this.#allowed;
    const length = sum.length / PARTS;
    for (let part = 0, i = 0; part < PARTS; part += 1) {
      let most = 0;
      for (let end = i + length; i < end; i += 1) {
        const sample = sum[i]!;
        const magnitude = sample ^ (sample >> 31);
        if (magnitude > most) most = magnitude;
      }
      allowed[part] = most > CEILING ? CEILING / most : 1;
    }
    // From the end to the start: what is to come decides where the gain has to be before it.
    line[PARTS] = allowed[PARTS - 1]!;
    for (let part = PARTS - 1; part > 0; part -= 1) {
      line[part] = Math.min(allowed[part - 1]!, allowed[part]!, line[part + 1]! / MAX_FALL);
    }
    const rise = this.#riseAfter(peak) ** (1 / PARTS);
    line[0] = Math.min(this.#gain, allowed[0]!);
    for (let part = 1; part <= PARTS; part += 1)
      line[part] = Math.min(line[part]!, line[part - 1]! * rise, 1);
  }

  /** By how much the gain may rise in a frame with this peak. */
  #riseAfter(peak: number): number {
    if (peak * this.#gain * NEAR > CEILING) {
      this.#hold = HOLD_FRAMES;
      return 1;
    }
    if (peak < SILENCE) return SILENT_RISE;
    if (this.#hold > 0) {
      this.#hold -= 1;
      return 1;
    }
    return RISE;
  }
}
