import { maskTokens } from '../../shared/index.js';
import type { TrialStep } from '../types.js';

const MAX_STEPS = 200;
/** Characters of one text, and of all texts of a trial. */
const MAX_TEXT = 8_192;
const MAX_IN_ALL = 131_072;

/** What a trial did, step by step, without tokens, and within limits. */
export class Steps {
  readonly #now: () => number;
  readonly #onStep: (steps: readonly TrialStep[]) => void;
  readonly #steps: TrialStep[] = [];
  #characters = 0;
  /** Steps beyond the limit, which are not kept. */
  dropped = 0;

  constructor(now: () => number, onStep: (steps: readonly TrialStep[]) => void) {
    this.#now = now;
    this.#onStep = onStep;
  }

  add(step: Omit<TrialStep, 'at'>): void {
    if (this.#steps.length >= MAX_STEPS) {
      this.dropped += 1;
      return;
    }
    const shown = Object.fromEntries(
      Object.entries(step).map(([name, value]) => [
        name,
        typeof value === 'string' ? this.#short(value) : value,
      ]),
    ) as Omit<TrialStep, 'at'>;
    this.#steps.push({ at: this.#now(), ...shown });
    this.#onStep([...this.#steps]);
  }

  #short(text: string): string {
    const masked = maskTokens(text);
    const room = Math.max(100, Math.min(MAX_TEXT, MAX_IN_ALL - this.#characters));
    const shown = masked.length > room ? `${masked.slice(0, room)} …` : masked;
    this.#characters += shown.length;
    return shown;
  }
}
