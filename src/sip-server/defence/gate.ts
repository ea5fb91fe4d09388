import { BlockList, isIP } from 'node:net';
import type { SipCounters } from '../counters.js';
import type { SipRequest } from '../message/message.js';
import type { RequestExemption } from '../options.js';
import type { Flow } from '../transport/flow.js';
import { BoundedMap } from '../../shared/index.js';

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

const MAX_BUDGETED_SOURCES = 50_000;

/** What a source that was never heard before may be sent. */
const FIRST_BYTES = 8192;

const MAX_BYTES = 65_536;

/** How many bytes each received byte allows to be sent. */
const FACTOR = 3;

const BYTES_PER_SECOND = 512;

const PROOF_MS = 3_600_000;

const MAX_SOURCES = 50_000;

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

/** Which addresses may talk to the server at all. */
class AllowList {
  readonly #list: BlockList | undefined;

  /** Takes addresses and CIDRs of both IP versions; an empty list allows everyone. Throws on anything else. */
  constructor(entries: readonly string[]) {
    this.#list = entries.length === 0 ? undefined : new BlockList();
    for (const entry of entries) this.#add(entry.trim());
  }

  /** Whether it names anybody, so that those who pass are known to the operator. */
  get names(): boolean {
    return this.#list !== undefined;
  }

  has(host: string): boolean {
    if (!this.#list) return true;
    // A socket for both IP versions shows IPv4 peers as mapped addresses.
    const address = host.startsWith('::ffff:') ? host.slice(7) : host;
    return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }

  #add(entry: string): void {
    const [address = '', prefix, ...rest] = entry.split('/');
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (version === 0 || rest.length > 0 || length < 0 || length > bits) {
      throw new Error(`not an address or CIDR: ${entry}`);
    }
    this.#list?.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/** How many messages one source address may send. */
interface RateLimitOptions {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket for each source address. */
class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new BoundedMap<string, { tokens: number; at: number }>(MAX_SOURCES);

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes a token for one message at `now` (milliseconds); false when there is none left. */
  take(source: string, now: number): boolean {
    const { perSecond, burst } = this.#options;
    const bucket = this.#buckets.get(source);
    if (!bucket) {
      this.#buckets.set(source, { tokens: burst - 1, at: now });
      return true;
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}

/**
 * Bounds what is sent over UDP to addresses that may be forged, so that the server amplifies nobody's attack.
 * An address is proven once it repeats something that only a receiver of our packets can know.
 */
class ReplyBudget {
  readonly #sources = new BoundedMap<string, { bytes: number; at: number; provenUntil: number }>(
    MAX_BUDGETED_SOURCES,
  );

  /** Bytes came from an address. */
  received(source: string, bytes: number, now: number): void {
    const entry = this.#entry(source, now);
    entry.bytes = Math.min(MAX_BYTES, entry.bytes + bytes * FACTOR);
  }

  /** The address really hears us. */
  prove(source: string, now: number): void {
    this.#entry(source, now).provenUntil = now + PROOF_MS;
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
