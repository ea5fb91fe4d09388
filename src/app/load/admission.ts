import type { Log } from '../../shared/index.js';

/** Above this share of busy time of the main thread, a new call delays those in progress. */
const FULL = 0.9;
/** When the event loop is this late, phones begin to miss frames. */
const LATE_MS = 40;
/**
 * Share of time that mixes may take. Receiving takes about as much as mixing, and the rest is for signalling, which can
 * wait, unlike the media of established calls.
 */
const FULL_OF_MIXES = 0.35;
/** Above this share of time for mixes, {@link FULL_OF_STANDING} applies. */
const MANY_MIXES = 0.15;
/** Share of time for all work that cannot wait: everything but setting up calls. */
const FULL_OF_STANDING = 0.75;
/** Seconds of the main thread that signalling of one call takes, from INVITE to BYE: a core sets up 400 to 600 each second. */
const CALL_S = 0.002;
/** Time constant of the mean rate of calls, in seconds. */
const RATE_S = 0.5;
/** Calls admitted each second even while the event loop is late: one source alone may have made it late. */
const LATE_PER_SECOND = 10;
/** How long skipped frames are a reason to refuse calls. */
const SKIPPED_MS = 500;

interface Load {
  /** Mean lateness of the event loop, in ms. */
  readonly delayMs: number;
  /** Share of time that the main thread is busy. */
  readonly busy: number;
  /** Share of time that phones' mixes take. */
  readonly mix: number;
  /** 20 ms frames of phones' mixes that were skipped since the start. */
  readonly framesSkipped: number;
}

/** Limits set by the operator; 0: none. */
export interface AdmissionLimits {
  /** Phones and pages that are connected at once. */
  readonly maxCalls: number;
  /** Phones that may call each second; as many pages may connect. */
  readonly maxCallsPerSecond: number;
}

type Kind = 'phone' | 'page';

export const CAUSES = ['max_calls', 'max_calls_per_second', 'load', 'crowded', 'descriptors'] as const;

/**
 * Why a new call is refused. `crowded`: too many INVITEs were waiting; `descriptors`: the process has too few file
 * descriptors left.
 */
type Cause = (typeof CAUSES)[number];

interface Refusal {
  readonly cause: Cause;
  readonly retryAfterS: number;
}

interface AdmissionOptions {
  readonly limits: AdmissionLimits;
  readonly load: () => Load;
  /** Phones and pages that are connected or connecting. */
  readonly calls: () => number;
  /** Whether the process may open more sockets for calls. */
  readonly hasSockets: () => boolean;
  readonly log: Log;
  /** Monotonic time in ms. */
  readonly now?: () => number;
}

/** Decides whether there is room for new calls. Calls in progress are not affected. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #now: () => number;
  readonly #watch: OverloadWatch;
  readonly #rates: Readonly<Record<Kind, FairRate>> | undefined;
  readonly #whileLate: FairRate;
  readonly #refusals = new Map<`${Kind}/${Cause}`, number>();
  /** Admitted phones per second, mean. */
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

  /** Whether that has lasted longer than a burst. */
  get lasting(): boolean {
    return this.#watch.lasting;
  }

  /** How many calls were refused since the start. */
  refusals(kind: Kind, cause: Cause): number {
    return this.#refusals.get(`${kind}/${cause}`) ?? 0;
  }

  /** @returns why a new call or page of this address is refused, or undefined */
  admit(kind: Kind, source: string): Refusal | undefined {
    const cause = this.#cause(kind, source);
    if (cause !== undefined) return this.refuse(kind, cause);
    if (kind === 'phone') this.#rate = this.#rateNow() + 1 / RATE_S;
    return undefined;
  }

  /** Counts a refusal for this cause, and says when to try again. */
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
    // Checked last, since it counts the call as admitted.
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
    // Lateness alone is not overload: an idle process may be held up for a moment.
    return busy >= FULL && (delayMs >= LATE_MS || now - this.#skippedAt < SKIPPED_MS);
  }
}

/** Random, so that callers who were refused together do not come back together. */
function retryAfterS(cause: Cause): number {
  const least = cause === 'max_calls' ? 5 : 2;
  return least + Math.floor(Math.random() * (least + 1));
}

/** Overload ends after this long without a refusal. */
const QUIET_MS = 5000;
/** Overload that lasts longer is not a burst. */
const LASTING_MS = 10_000;
const LOOK_EVERY_MS = 1000;

interface OverloadWatchOptions {
  /** Monotonic time in ms. */
  readonly now: () => number;
  /** Fields for the log line at the beginning. */
  readonly describe: () => object;
  readonly log: Log;
}

/** Logs when overload begins and ends: one line each, however much is refused in between. */
class OverloadWatch {
  readonly #options: OverloadWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #began = 0;
  #refusedAt = 0;
  #refused = 0;

  constructor(options: OverloadWatchOptions) {
    this.#options = options;
  }

  /** Whether something was refused in the last few seconds. */
  get overloaded(): boolean {
    return this.#timer !== undefined;
  }

  /** Whether the overload has lasted longer than a burst. */
  get lasting(): boolean {
    return this.overloaded && this.#options.now() - this.#began >= LASTING_MS;
  }

  refused(cause: string): void {
    const now = this.#options.now();
    this.#refusedAt = now;
    this.#refused += 1;
    if (this.#timer) return;
    this.#began = now;
    this.#refused = 1;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    this.#options.log.warn({ cause, ...this.#options.describe() }, 'overload: new calls are refused');
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#options.now() - this.#refusedAt < QUIET_MS) return;
    this.stop();
    const seconds = Math.round((this.#refusedAt - this.#began) / 1000);
    this.#options.log.info({ seconds, refused: this.#refused }, 'overload is over');
  }
}

const WINDOW_MS = 1000;

/** Most sources that are counted separately in one window; further ones share one count. */
const MAX_SOURCES = 1000;
const OTHERS = 'others';

/**
 * Admits a number of requests each second, all at once if none came before. A single source gets all of them; if several
 * ask, none gets more than its share. A source that asked for little gets its share even if another has taken
 * everything: up to one second's worth is lent, and taken from the next second.
 */
export class FairRate {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #windowBegan: number;
  /** How many requests of each source were admitted. */
  #present = new Map<string, number>();
  #past = new Map<string, number>();

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = perSecond;
    this.#tokens = this.#burst;
    this.#at = now;
    this.#windowBegan = now;
  }

  /** Sources that are counted separately now. */
  get size(): number {
    return this.#present.size;
  }

  take(source: string, now: number): boolean {
    this.#turnWindow(now);
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    const full = this.#present.size >= MAX_SOURCES && !this.#present.has(source);
    const key = full ? OTHERS : source;
    const taken = this.#present.get(key) ?? 0;
    // Refused sources are counted too: their shares are kept for them.
    this.#present.set(key, taken);
    if (taken >= this.#share(key)) return false;
    if (this.#tokens < 1 && !this.#lends(key, taken)) return false;
    this.#tokens -= 1;
    this.#present.set(key, taken + 1);
    return true;
  }

  /** The share of a source in this window. */
  #share(key: string): number {
    // The sources of the last second, and those that are new in this one.
    const sources = Math.max(this.#past.size + (this.#past.has(key) ? 0 : 1), this.#present.size);
    return sources === 1 ? Number.POSITIVE_INFINITY : Math.max(1, this.#perSecond / sources);
  }

  /** Lends only to a source that got less than its share in this window and the last; not to a flood that keeps asking. */
  #lends(key: string, taken: number): boolean {
    const share = this.#share(key);
    return (
      share !== Number.POSITIVE_INFINITY &&
      this.#tokens >= 1 - this.#burst &&
      taken + (this.#past.get(key) ?? 0) < share
    );
  }

  #turnWindow(now: number): void {
    const age = now - this.#windowBegan;
    if (age < WINDOW_MS) return;
    this.#past = age < 2 * WINDOW_MS ? this.#present : new Map<string, number>();
    this.#present = new Map<string, number>();
    this.#windowBegan = now;
  }
}
