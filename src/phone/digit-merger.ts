/** The ways by which a phone's digits come: RFC 4733 events in the audio, or SIP INFO. */
export type DigitWay = 'rtp' | 'info';

/**
 * How long after the first report of a key press the second may come. An INFO is sent when the key is let go, and
 * when the one before it was answered (linphone); RTP does not wait.
 */
const SECOND_REPORT_MS = { info: 10_000, rtp: 1500 } as const;

/** Presses that wait for their second report; more than this at once no finger makes. */
const MAX_WAITING = 64;

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
    this.#waiting = this.#waiting.filter((press) => at - press.at < SECOND_REPORT_MS[other(press.way)]);
    const same = this.#waiting.findIndex((press) => press.way !== way && press.digit === digit);
    if (same >= 0) {
      this.#waiting.splice(same, 1);
      return false;
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ way, digit, at });
    return true;
  }
}

const other = (way: DigitWay): DigitWay => (way === 'rtp' ? 'info' : 'rtp');
