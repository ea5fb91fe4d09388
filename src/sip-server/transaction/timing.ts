/** What ends may do so together, at most this many ms late. */
const LATE = 100;

/** Timer values of RFC 3261 section 17.1.1.1, in milliseconds. */
export const T1 = 500;
export const T2 = 4000;
export const T4 = 5000;

/** 64 * T1: how long a transaction waits for its peer (timers B, F, H, J, L, M). */
export const TRANSACTION_TIMEOUT = 64 * T1;

/** The timers of one state machine, by name; setting one again replaces it. */
export class Timers<Name extends string> {
  readonly #running = new Map<Name, NodeJS.Timeout>();

  set(name: Name, ms: number, fire: () => void): void {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      fire();
    }, ms);
    this.#running.set(name, timer);
  }

  clear(name: Name): void {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  clearAll(): void {
    for (const timer of this.#running.values()) clearTimeout(timer);
    this.#running.clear();
  }
}

/**
 * Tells when 64*T1 are over for each of many (timers H, J and L): a busy server has tens of thousands that wait, and
 * since all wait equally long, in the order in which they began, one timer serves them all.
 */
export class TransactionTimeouts<Waiting> {
  readonly #over: (waiting: Waiting) => void;
  /** When each is over, the earliest first. */
  readonly #ends = new Map<Waiting, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `over` is called once for each that was not forgotten before. */
  constructor(over: (waiting: Waiting) => void) {
    this.#over = over;
  }

  /** Begins to wait; anew, if it waited already. */
  begin(waiting: Waiting): void {
    this.#ends.delete(waiting);
    this.#ends.set(waiting, Math.round(performance.now()) + TRANSACTION_TIMEOUT);
    this.#timer ??= setTimeout(() => this.#sweep(), TRANSACTION_TIMEOUT);
  }

  /** Nobody waits for it any more. */
  forget(waiting: Waiting): void {
    if (!this.#ends.delete(waiting) || this.#ends.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = Math.round(performance.now());
    for (const [waiting, end] of this.#ends) {
      if (end > now) {
        this.#timer = setTimeout(() => this.#sweep(), Math.max(end - now, LATE));
        return;
      }
      this.#ends.delete(waiting);
      this.#over(waiting);
    }
  }
}
