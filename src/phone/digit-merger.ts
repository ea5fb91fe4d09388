/** The ways by which a phone's digits come: RFC 4733 events in the audio, or SIP INFO. */
export type DigitWay = 'rtp' | 'info';

/** How far apart the two reports of one key press may come: the INFO is sent when the key is let go. */
const SAME_PRESS_MS = 1500;

/** Presses that wait for their second report; more than this at once no finger makes. */
const MAX_WAITING = 16;

interface Press {
  readonly way: DigitWay;
  readonly digit: string;
  readonly at: number;
}

/** Some phones report each key press both ways: this lets each press through once. */
export class DigitMerger {
  readonly #now: () => number;
  #waiting: Press[] = [];

  /** @param now a clock in ms that does not jump */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether this report is of a key press that was not reported by the other way already. */
  isNew(way: DigitWay, digit: string): boolean {
    const at = this.#now();
    this.#waiting = this.#waiting.filter((press) => at - press.at < SAME_PRESS_MS);
    const same = this.#waiting.findIndex((press) => press.way !== way && press.digit === digit);
    if (same >= 0) {
      this.#waiting.splice(same, 1);
      return false;
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ way, digit, at });
    return true;
  }
}
