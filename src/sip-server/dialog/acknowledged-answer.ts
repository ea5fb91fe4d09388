import { PATIENCE, T1, T2, Timers } from '../transaction/timing.js';

/**
 * A 2xx to an INVITE, sent again until its ACK comes (RFC 3261 section 13.3.1.4). This is the core's duty on every
 * transport: a hop further on may be UDP.
 */
export class AcknowledgedAnswer {
  readonly sequence: number;
  readonly #timers = new Timers<'repeat' | 'give up'>();
  readonly #resend: () => void;

  constructor(sequence: number, resend: () => void, gaveUp: () => void) {
    this.sequence = sequence;
    this.#resend = resend;
    this.#timers.set('give up', PATIENCE, () => {
      this.stop();
      gaveUp();
    });
    this.#repeat(T1);
  }

  /** Sends it once more, now. */
  again(): void {
    this.#resend();
  }

  /** The ACK came, or nobody waits for it any more. */
  stop(): void {
    this.#timers.clearAll();
  }

  #repeat(interval: number): void {
    this.#timers.set('repeat', interval, () => {
      this.#resend();
      this.#repeat(Math.min(interval * 2, T2));
    });
  }
}
