/** Waits for an answer, in ms, by attempt: a client that failed on an offer says nothing. */
const ANSWER_TIMEOUTS_MS = [5_000, 5_000, 10_000, 20_000, 30_000] as const;

export interface OfferExchangeOptions {
  /** Makes and sends an offer of the state as it is now. */
  readonly send: () => void;
}

/**
 * Keeps one offer outstanding at most. Changes made meanwhile go into the next offer, together; an offer that is
 * not answered in time is made anew, ever more slowly.
 */
export class OfferExchange {
  readonly #options: OfferExchangeOptions;
  #outstanding = false;
  #wanted = false;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: OfferExchangeOptions) {
    this.#options = options;
  }

  get outstanding(): boolean {
    return this.#outstanding;
  }

  /** Something changed that the other end must learn. Changes in one turn of the event loop go out as one. */
  want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    queueMicrotask(() => this.#proceed());
  }

  /** The outstanding offer is answered. */
  answered(): void {
    this.#settle();
    this.#attempt = 0;
    this.#proceed();
  }

  /** The outstanding offer is void: no answer to it counts any more. @returns whether there was one */
  abandon(): boolean {
    const outstanding = this.#outstanding;
    this.#settle();
    this.#attempt = 0;
    return outstanding;
  }

  stop(): void {
    this.#stopped = true;
    this.#settle();
  }

  #proceed(): void {
    if (this.#stopped || this.#outstanding || !this.#wanted) return;
    this.#wanted = false;
    this.#outstanding = true;
    const timeout = ANSWER_TIMEOUTS_MS[this.#attempt] ?? ANSWER_TIMEOUTS_MS.at(-1)!;
    this.#timer = setTimeout(() => this.#timedOut(), timeout);
    this.#options.send();
  }

  #timedOut(): void {
    this.#settle();
    this.#attempt += 1;
    this.#wanted = true;
    this.#proceed();
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#outstanding = false;
  }
}
