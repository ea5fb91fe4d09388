import type { SipCounters } from '../counters.js';
import type { SipRequest } from '../message/message.js';
import type { RequestExemption } from '../options.js';
import type { Flow } from '../transport/flow.js';
import { AllowList } from './allow-list.js';
import { RateLimit, type RateLimitOptions } from './rate-limit.js';
import { ReplyBudget } from './reply-budget.js';
import { isScanner } from './scanners.js';

export interface GateOptions {
  /** CIDRs; empty allows everyone. */
  readonly allow: readonly string[];
  readonly rate: RateLimitOptions;
  /** What the User-Agents that get no answer begin with. */
  readonly scanners: readonly string[];
  /** Whether a request is answered all the same. */
  readonly exempts?: RequestExemption | undefined;
}

/** A request as whoever exempts it sees it. */
function toldOf({ uri, headers }: SipRequest): Parameters<RequestExemption>[0] {
  const get = (name: string): string | undefined => {
    const values = headers.all(name.toLowerCase());
    return values.length === 0 ? undefined : values.join(',');
  };
  return { uri, get };
}

/** What becomes of bytes that came in. */
export type Admission =
  | 'admitted'
  /** More than its rate from an address that the allow-list names: what is new is refused in words. */
  | 'over-rate'
  | 'dropped';

/** Decides what may come in and what may go out, before anything is parsed or remembered. */
export class Gate {
  readonly #allow: AllowList;
  readonly #rate: RateLimit;
  readonly #budget = new ReplyBudget();
  readonly #scanners: readonly string[];
  readonly #exempts: RequestExemption | undefined;
  readonly #counters: SipCounters;

  /** Throws when an entry of the allow-list is malformed. */
  constructor(options: GateOptions, counters: SipCounters) {
    this.#allow = new AllowList(options.allow);
    this.#rate = new RateLimit(options.rate);
    this.#scanners = options.scanners;
    this.#exempts = options.exempts;
    this.#counters = counters;
  }

  /** Whether an address may open a connection. */
  admitsConnection(host: string): boolean {
    const admitted = this.#allow.has(host);
    if (!admitted) this.#counters.droppedNotAllowed++;
    return admitted;
  }

  /** Whether the bytes that came by a flow may be looked at. */
  admits(bytes: number, flow: Flow): Admission {
    const source = flow.remote.host;
    if (!this.#allow.has(source)) {
      this.#counters.droppedNotAllowed++;
      return 'dropped';
    }
    const now = performance.now();
    const within = this.#rate.take(source, now);
    if (!within && !this.#allow.names) {
      this.#counters.droppedRateLimited++;
      return 'dropped';
    }
    if (!flow.reliable) this.#budget.received(source, bytes, now);
    return within ? 'admitted' : 'over-rate';
  }

  /** Whether a new request deserves an answer at all: scanners get none, so that they find nothing here. */
  admitsAgent(request: SipRequest): boolean {
    if (!isScanner(request, this.#scanners) || this.#exempts?.(toldOf(request)) === true) return true;
    this.#counters.droppedScanner++;
    return false;
  }

  /** The peer repeated something that only a receiver of our packets can know. */
  prove(flow: Flow): void {
    if (!flow.reliable) this.#budget.prove(flow.remote.host, performance.now());
  }

  /** Whether that many bytes may be sent over a flow. */
  allowsSending(bytes: number, flow: Flow): boolean {
    if (flow.reliable || this.#budget.spend(flow.remote.host, bytes, performance.now())) return true;
    this.#counters.droppedAmplification++;
    return false;
  }
}
