import type { Log } from '../../shared/index.js';
import { FairRate } from './fair-rate.js';
import { OverloadWatch } from './overload-watch.js';

/** The main thread is at work for so much of the time that what comes next makes those wait who are there. */
const FULL = 0.9;
/** ... late by so much, whoever's fault it is, phones begin to miss frames. */
const LATE_MS = 40;
/**
 * Share of time that mixes may take. Receiving takes about as much as mixing, and the rest is for signalling: unlike
 * that, calls that are up cannot wait.
 */
const FULL_OF_MIXES = 0.35;
/** With so much of the time for mixes, ... */
const MANY_MIXES = 0.15;
/** ... so much of it may go into what cannot wait: everything but setting up calls. */
const FULL_OF_STANDING = 0.75;
/** What a call takes of the main thread, in seconds, from INVITE to BYE: a core sets up 400 to 600 each second. */
const CALL_S = 0.002;
/** Over how long the rate of calls is a mean. */
const RATE_S = 0.5;
/** While everything is late so many are let in each second all the same: lateness may be one source's doing. */
const LATE_PER_SECOND = 10;
/** For so long skipped frames are a reason to take no more. */
const SKIPPED_MS = 500;

/** How much there is to do, and how much of it is managed. */
interface Load {
  /** How late the event loop is, in ms, in the mean. */
  readonly delayMs: number;
  /** Share of time that the main thread is at work. */
  readonly busy: number;
  /** Share of time that phones' mixes take. */
  readonly mix: number;
  /** 20 ms frames of phones' mixes that were not made since the start. */
  readonly framesSkipped: number;
}

/** What an operator allows; 0: as much as can be done. */
export interface AdmissionLimits {
  /** Phones and pages that are connected at once. */
  readonly maxCalls: number;
  /** Phones that may call each second, and as many pages that may connect. */
  readonly maxCallsPerSecond: number;
}

type Kind = 'phone' | 'page';

export const CAUSES = ['max_calls', 'max_calls_per_second', 'load', 'crowded', 'descriptors'] as const;

/**
 * Why a new call is refused. `crowded`: too many INVITEs were waiting for their turn; `descriptors`: the process may
 * hardly open another socket.
 */
type Cause = (typeof CAUSES)[number];

interface Refusal {
  readonly cause: Cause;
  readonly retryAfterS: number;
}

interface AdmissionOptions {
  readonly limits: AdmissionLimits;
  readonly load: () => Load;
  /** Phones and pages that are connected or being so. */
  readonly calls: () => number;
  /** Whether there are sockets left for a call. */
  readonly hasSockets: () => boolean;
  readonly log: Log;
  /** Monotonic time in ms. */
  readonly now?: () => number;
}

/** Decides whether there is room for new calls. What is under way is none of its business. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #now: () => number;
  readonly #watch: OverloadWatch;
  readonly #rates: Readonly<Record<Kind, FairRate>> | undefined;
  readonly #whileLate: FairRate;
  readonly #refusals = new Map<`${Kind}/${Cause}`, number>();
  /** Phones let in each second. */
  #rate = 0;
  #rateAt = 0;
  #framesSkipped = 0;
  #skippedAt = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#rateAt = this.#now();
    const { maxCallsPerSecond } = options.limits;
    this.#whileLate = new FairRate(LATE_PER_SECOND, this.#now());
    const rate = (): FairRate => new FairRate(maxCallsPerSecond, this.#now());
    this.#rates = maxCallsPerSecond > 0 ? { phone: rate(), page: rate() } : undefined;
    this.#watch = new OverloadWatch({
      now: this.#now,
      log: options.log,
      describe: () => {
        const { delayMs, busy } = options.load();
        return { calls: options.calls(), delayMs: Math.round(delayMs), busy: Number(busy.toFixed(2)) };
      },
    });
  }

  /** Whether new calls were refused in the last few seconds. */
  get overloaded(): boolean {
    return this.#watch.overloaded;
  }

  /** Whether that has lasted for longer than a burst does. */
  get lasting(): boolean {
    return this.#watch.lasting;
  }

  /** How many were refused since the start. */
  refusals(kind: Kind, cause: Cause): number {
    return this.#refusals.get(`${kind}/${cause}`) ?? 0;
  }

  /** @returns why a new call or page of that address is not let in */
  admit(kind: Kind, source: string): Refusal | undefined {
    const cause = this.#cause(kind, source);
    if (cause !== undefined) return this.refuse(kind, cause);
    if (kind === 'phone') this.#rate = this.#rateNow() + 1 / RATE_S;
    return undefined;
  }

  /** Somebody is refused for this cause. */
  refuse(kind: Kind, cause: Cause): Refusal {
    const key = `${kind}/${cause}` as const;
    this.#refusals.set(key, (this.#refusals.get(key) ?? 0) + 1);
    this.#watch.refused(cause);
    return { cause, retryAfterS: retryAfterS(cause) };
  }

  /** Whether all places that the operator allows are taken. */
  get full(): boolean {
    const { maxCalls } = this.#options.limits;
    return maxCalls > 0 && this.#options.calls() >= maxCalls;
  }

  stop(): void {
    this.#watch.stop();
  }

  #cause(kind: Kind, source: string): Cause | undefined {
    if (this.full) return 'max_calls';
    if (kind === 'phone' && !this.#options.hasSockets()) return 'descriptors';
    if (this.#hasFullMixes()) return 'load';
    if (this.#isLate() && !this.#whileLate.take(source, this.#now())) return 'load';
    // Last: whoever is refused for another reason takes nobody's place.
    if (this.#rates?.[kind].take(source, this.#now()) === false) return 'max_calls_per_second';
    return undefined;
  }

  #rateNow(): number {
    const now = this.#now();
    this.#rate *= Math.exp((this.#rateAt - now) / 1000 / RATE_S);
    this.#rateAt = now;
    return this.#rate;
  }

  #hasFullMixes(): boolean {
    const { busy, mix } = this.#options.load();
    return mix >= FULL_OF_MIXES || (mix >= MANY_MIXES && busy - this.#rateNow() * CALL_S >= FULL_OF_STANDING);
  }

  #isLate(): boolean {
    const { delayMs, busy, framesSkipped } = this.#options.load();
    const now = this.#now();
    if (framesSkipped > this.#framesSkipped) this.#skippedAt = now;
    this.#framesSkipped = framesSkipped;
    // An idle process that was held up for a moment has room all the same.
    return busy >= FULL && (delayMs >= LATE_MS || now - this.#skippedAt < SKIPPED_MS);
  }
}

/** Spread, so that those who were refused together do not come back together. */
function retryAfterS(cause: Cause): number {
  const least = cause === 'max_calls' ? 5 : 2;
  return least + Math.floor(Math.random() * (least + 1));
}
