import { PHONE_RATE } from '../../../test/support/tones.js';

/** Of a piece of sound. */
export const PIECE_MS = 20;
export const PIECE_SAMPLES = (PHONE_RATE / 1000) * PIECE_MS;
/** A piece has whole waves of each tone: tones do not disturb one another in it, wherever it begins. */
const STEP_HZ = PHONE_RATE / PIECE_SAMPLES;
const LOWEST_HZ = 300;
/** The highest is below 3.4 kHz. */
export const MOST_TONES = 60;
/** So loud that four together are not clipped. */
export const AMPLITUDE = 7000;
/** What comes as Opus from another gateway is brought to the common loudness with a third of that. */
const HEARD_AMPLITUDE = 900;
/** What counts as heard now: that which all of so many latest pieces have, the oldest of which is not older than so long. */
const LATEST = 5;
const LATEST_MS = 300;

export const hertz = (tone: number): number => LOWEST_HZ + tone * STEP_HZ;

/** Two waves of each tone, a quarter apart. */
const WAVES = Array.from({ length: MOST_TONES }, (_, tone) => {
  const angle = (n: number): number => (2 * Math.PI * hertz(tone) * n) / PHONE_RATE;
  return [Math.cos, Math.sin].map((wave) =>
    Float32Array.from({ length: PIECE_SAMPLES }, (_, n) => wave(angle(n))),
  );
}) as unknown as readonly (readonly [Float32Array, Float32Array])[];

/** Recognises the tones in what one talker hears, which comes in pieces of {@link PIECE_SAMPLES}. */
export class Hearing {
  #latest: { readonly at: number; readonly samples: Float32Array }[] = [];
  #due: ReadonlySet<number> | undefined;
  #lastWholeAt = 0;
  #longestLackMs = 0;

  take(samples: Float32Array): void {
    const at = performance.now();
    this.#latest.push({ at, samples });
    if (this.#latest.length > LATEST) this.#latest.shift();
    if (!this.#due || ![...this.#due].every((tone) => isIn(samples, tone))) return;
    this.#longestLackMs = Math.max(this.#longestLackMs, at - this.#lastWholeAt);
    this.#lastWholeAt = at;
  }

  forget(): void {
    this.#latest = [];
  }

  /**
   * The tones that are heard now; undefined when nothing comes, or the pieces differ.
   * @param since only pieces that came after this count, by `performance.now()`
   */
  heard(since = 0): ReadonlySet<number> | undefined {
    const from = Math.max(since, performance.now() - LATEST_MS);
    if (this.#latest.length < LATEST || this.#latest[0]!.at < from) return undefined;
    const [first, ...others] = this.#latest.map(({ samples }) => tonesIn(samples));
    return others.every((other) => isSame(other, first!)) ? first : undefined;
  }

  /** What came in the latest pieces, for people. */
  describe(): string {
    const now = performance.now();
    const pieces = this.#latest.map(
      ({ at, samples }) => `[${[...tonesIn(samples)].join()}] ${(now - at).toFixed(0)} ms ago`,
    );
    return pieces.length === 0 ? 'nothing' : pieces.join(', ');
  }

  /** From now on these tones are to be heard in each piece. */
  measureLack(tones: ReadonlySet<number>): void {
    this.#due = tones;
    this.#lastWholeAt = performance.now();
    this.#longestLackMs = 0;
  }

  /** The longest time since {@link measureLack} for which one of the tones, or all sound, was missing, in ms. It ends the measurement. */
  endOfLack(): number {
    const lackMs = Math.max(this.#longestLackMs, performance.now() - this.#lastWholeAt);
    this.#due = undefined;
    return lackMs;
  }
}

export function isSame(one: ReadonlySet<number>, other: ReadonlySet<number>): boolean {
  return one.size === other.size && [...one].every((tone) => other.has(tone));
}

function tonesIn(samples: Float32Array): ReadonlySet<number> {
  return new Set(WAVES.flatMap((_, tone) => (isIn(samples, tone) ? tone : [])));
}

function isIn(samples: Float32Array, tone: number): boolean {
  const [cosine, sinus] = WAVES[tone]!;
  let [real, imaginary] = [0, 0];
  for (let n = 0; n < PIECE_SAMPLES; n += 1) {
    real += samples[n]! * cosine[n]!;
    imaginary += samples[n]! * sinus[n]!;
  }
  return (2 / PIECE_SAMPLES) * Math.hypot(real, imaginary) > HEARD_AMPLITUDE;
}
