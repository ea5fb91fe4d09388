import type { SipCounters } from '../counters.js';
import type { SipRequest } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import { type AddressFilter, BoundedMap, inNetworks, KeyedBuckets, type Rate } from '../../shared/index.js';

/** Names that well-known scanners give themselves. VaxSIPUserAgent, of some of them too, is a softphone kit's. */
export const KNOWN_SCANNERS = [
  'friendly-scanner',
  'sipvicious',
  'sundayddr',
  'sip-scan',
  'sipscan',
  'sipcli',
  'smap',
  'iwar',
  'pplsip',
  'siparmyknife',
  'test agent',
];

/** What a source that was never heard before may be sent. */
const FIRST_BYTES = 8192;

const MAX_BYTES = 65_536;

/** How many bytes each received byte allows to be sent. */
const FACTOR = 3;

const BYTES_PER_SECOND = 512;

const PROVEN_MS = 3_600_000;

const MAX_SOURCES = 50_000;

/**
 * Whether a request is served in spite of its User-Agent: the server knows nothing by which an application tells its
 * callers. Several lines of a header are joined by commas.
 */
export type RequestExemption = (request: {
  readonly uri: string;
  get(name: string): string | undefined;
}) => boolean;

interface SourceFilterOptions {
  /** CIDRs; empty allows everyone. */
  readonly allow: readonly string[];
  /** How many messages one source address may send. */
  readonly rate: Rate;
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
type Admission =
  | 'admitted'
  /** More than its rate from an address that the allow-list names: what is new is refused in words. */
  | 'over-rate'
  | 'dropped';

/** Decides what may come in and what may go out, before anything is parsed or remembered. */
export class SourceFilter {
  /** Which addresses may talk to the server at all; undefined: all. */
  readonly #allow: AddressFilter | undefined;
  readonly #rate: KeyedBuckets;
  readonly #budget = new ReplyBudget();
  readonly #scanners: readonly string[];
  readonly #exempts: RequestExemption | undefined;
  readonly #counters: SipCounters;

  /** Throws when an entry of the allow-list is malformed. */
  constructor(options: SourceFilterOptions, counters: SipCounters) {
    this.#allow = options.allow.length === 0 ? undefined : inNetworks(options.allow);
    this.#rate = new KeyedBuckets(options.rate, { maxKeys: MAX_SOURCES, whenFull: 'forget-oldest' });
    this.#scanners = options.scanners;
    this.#exempts = options.exempts;
    this.#counters = counters;
  }

  /** Whether an address may open a connection. */
  admitsConnection(host: string): boolean {
    const admitted = this.#allow?.(host) ?? true;
    if (!admitted) this.#counters.droppedNotAllowed++;
    return admitted;
  }

  /** Whether the bytes that came by a flow may be looked at. */
  admits(bytes: number, flow: Flow): Admission {
    const source = flow.remote.host;
    if (this.#allow?.(source) === false) {
      this.#counters.droppedNotAllowed++;
      return 'dropped';
    }
    const now = performance.now();
    const within = this.#rate.take(source, now);
    // Those whom the allow-list names are known to the operator.
    if (!within && this.#allow === undefined) {
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

/**
 * Bounds what is sent over UDP to addresses that may be forged, so that the server amplifies nobody's attack.
 * An address is proven once it repeats something that only a receiver of our packets can know.
 */
class ReplyBudget {
  readonly #sources = new BoundedMap<string, { bytes: number; at: number; provenUntil: number }>(MAX_SOURCES);

  /** Bytes came from an address. */
  received(source: string, bytes: number, now: number): void {
    const entry = this.#entry(source, now);
    entry.bytes = Math.min(MAX_BYTES, entry.bytes + bytes * FACTOR);
  }

  /** The address really hears us. */
  prove(source: string, now: number): void {
    this.#entry(source, now).provenUntil = now + PROVEN_MS;
  }

  /** Takes from the budget; false when the bytes must not be sent. */
  spend(source: string, bytes: number, now: number): boolean {
    const entry = this.#entry(source, now);
    if (now < entry.provenUntil) return true;
    if (entry.bytes < bytes) return false;
    entry.bytes -= bytes;
    return true;
  }

  #entry(source: string, now: number): { bytes: number; at: number; provenUntil: number } {
    const known = this.#sources.get(source);
    if (known) {
      known.bytes = Math.min(MAX_BYTES, known.bytes + ((now - known.at) / 1000) * BYTES_PER_SECOND);
      known.at = now;
      return known;
    }
    const entry = { bytes: FIRST_BYTES, at: now, provenUntil: 0 };
    this.#sources.set(source, entry);
    return entry;
  }
}

/**
 * Whether a request comes from a scanner, by the name with which its User-Agent begins: the whole of it, as other
 * programs are called SIPClient and Smaptel.
 */
function isScanner(request: SipRequest, names: readonly string[]): boolean {
  const agent = request.headers.get('user-agent')?.trim().toLowerCase();
  return agent !== undefined && names.some((name) => beginsWith(agent, name.toLowerCase()));
}

function beginsWith(agent: string, name: string): boolean {
  return agent.startsWith(name) && !/[\w-]/.test(agent[name.length] ?? '');
}
