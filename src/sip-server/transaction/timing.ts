/** Timeouts may fire up to this many ms late, so that those close together share a timer. */
const GRANULARITY_MS = 100;

/** Timer values of RFC 3261 section 17.1.1.1, in milliseconds. */
export const T1 = 500;
export const T2 = 4000;
export const T4 = 5000;

/** 64*T1: Timers B, D, F, H, J, L and M. */
export const TRANSACTION_TIMEOUT = 64 * T1;

/** The timers of one state machine, by name. Setting a timer replaces a running one of that name. */
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
 * One shared timeout queue for Timers H, J and L: all last 64*T1, so insertion order is expiry order and one timer
 * serves tens of thousands of transactions.
 */
export class TransactionTimeouts<Waiting> {
  readonly #over: (waiting: Waiting) => void;
  /** When each expires, the earliest first. */
  readonly #ends = new Map<Waiting, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `over` is called once for each entry that expires. */
  constructor(over: (waiting: Waiting) => void) {
    this.#over = over;
  }

  /** Starts a timeout, or restarts it. */
  begin(waiting: Waiting): void {
    this.#ends.delete(waiting);
    this.#ends.set(waiting, Math.round(performance.now()) + TRANSACTION_TIMEOUT);
    this.#timer ??= setTimeout(() => this.#sweep(), TRANSACTION_TIMEOUT);
  }

  /** Cancels a timeout. */
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
        this.#timer = setTimeout(() => this.#sweep(), Math.max(end - now, GRANULARITY_MS));
        return;
      }
      this.#ends.delete(waiting);
      this.#over(waiting);
    }
  }
}
