import type { SipCounters } from '../counters.js';
import type { SipRequest } from '../message/message.js';
import type { Endpoint, Flow } from '../transport/flow.js';
import { type RequestView, requestView } from './request-view.js';
import { type AddressFilter, BoundedMap, inNetworks, KeyedBuckets, type Rate } from '../../shared/index.js';

/** User-Agents of well-known scanners. VaxSIPUserAgent is not listed: it is also a softphone kit's. */
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

/** Bytes that may be sent to a source before anything is known about it. */
const FIRST_BYTES = 8192;

const MAX_BYTES = 65_536;

/** Bytes that may be sent for each byte received. */
const FACTOR = 3;

const BYTES_PER_SECOND = 512;

const PROVEN_MS = 3_600_000;

const MAX_SOURCES = 50_000;

/**
 * Whether to serve a request from a scanner's User-Agent all the same: only the application can recognise its own
 * callers.
 */
export type RequestExemption = (request: RequestView) => boolean;

interface SourceFilterOptions {
  /** CIDRs; empty allows everyone. */
  readonly allow: readonly string[];
  /** How many messages one source address may send. */
  readonly rate: Rate;
  /** User-Agents that get no response, given by the name that they begin with. */
  readonly scanners: readonly string[];
  /** Whether such a request is served all the same. */
  readonly exempts?: RequestExemption | undefined;
  /** Whether an address and UDP port are a socket of this process. */
  readonly isOwnSocket?: ((remote: Endpoint) => boolean) | undefined;
}

/** The verdict on received bytes. */
type Admission =
  | 'admitted'
  /** Over its rate, but in the allow-list: new requests get 503. */
  | 'over-rate'
  | 'dropped';

/** Decides by source what is received and how much is sent, before anything is parsed or stored. */
export class SourceFilter {
  /** Addresses that may send anything at all; undefined: all. */
  readonly #allow: AddressFilter | undefined;
  readonly #rate: KeyedBuckets;
  readonly #budget = new ReplyBudget();
  readonly #scanners: readonly string[];
  readonly #exempts: RequestExemption | undefined;
  readonly #isOwnSocket: ((remote: Endpoint) => boolean) | undefined;
  readonly #counters: SipCounters;

  /** Throws when an entry of the allow-list is malformed. */
  constructor(options: SourceFilterOptions, counters: SipCounters) {
    this.#allow = options.allow.length === 0 ? undefined : inNetworks(options.allow);
    this.#rate = new KeyedBuckets(options.rate, { maxKeys: MAX_SOURCES, whenFull: 'forget-oldest' });
    this.#scanners = options.scanners;
    this.#exempts = options.exempts;
    this.#isOwnSocket = options.isOwnSocket;
    this.#counters = counters;
  }

  /** Whether an address may open a connection. */
  admitsConnection(host: string): boolean {
    const admitted = this.#allow?.(host) ?? true;
    if (!admitted) this.#counters.droppedNotAllowed++;
    return admitted;
  }

  /** Whether a socket of this process is the peer. The address of a connection may be anyone's on this machine. */
  isOwn({ reliable, remote }: Flow): boolean {
    return !reliable && this.#isOwnSocket?.(remote) === true;
  }

  /** Whether to process bytes that were received on a flow. */
  admits(bytes: number, flow: Flow): Admission {
    if (this.isOwn(flow)) return 'admitted';
    const source = flow.remote.host;
    if (this.#allow?.(source) === false) {
      this.#counters.droppedNotAllowed++;
      return 'dropped';
    }
    const now = performance.now();
    const within = this.#rate.take(source, now);
    // The operator knows the addresses in the allow-list, so their new requests get 503 instead of silence.
    if (!within && this.#allow === undefined) {
      this.#counters.droppedRateLimited++;
      return 'dropped';
    }
    if (!flow.reliable) this.#budget.received(source, bytes, now);
    return within ? 'admitted' : 'over-rate';
  }

  /** Whether a new request gets a response. Scanners get none, so that they find nothing. */
  admitsAgent(request: SipRequest): boolean {
    if (!isScanner(request, this.#scanners) || this.#exempts?.(requestView(request)) === true) return true;
    this.#counters.droppedScanner++;
    return false;
  }

  /** The peer has proven that it receives our packets. */
  prove(flow: Flow): void {
    if (!flow.reliable) this.#budget.prove(flow.remote.host, performance.now());
  }

  /** Whether this many bytes may be sent on a flow. */
  allowsSending(bytes: number, flow: Flow): boolean {
    if (flow.reliable || this.isOwn(flow) || this.#budget.spend(flow.remote.host, bytes, performance.now()))
      return true;
    this.#counters.droppedAmplification++;
    return false;
  }
}

/**
 * Limits what is sent over UDP to addresses that may be forged, so that the server cannot be used to amplify an
 * attack. An address is proven once it repeats something that only a receiver of our packets can know.
 */
class ReplyBudget {
  readonly #sources = new BoundedMap<string, { bytes: number; at: number; provenUntil: number }>(MAX_SOURCES);

  /** Bytes were received from an address. */
  received(source: string, bytes: number, now: number): void {
    const entry = this.#entry(source, now);
    entry.bytes = Math.min(MAX_BYTES, entry.bytes + bytes * FACTOR);
  }

  /** The address receives our packets. */
  prove(source: string, now: number): void {
    this.#entry(source, now).provenUntil = now + PROVEN_MS;
  }

  /** Takes bytes from the budget. Returns false when they must not be sent. */
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
 * Whether a request comes from a scanner: its User-Agent begins with one of these names as a whole word, since other
 * programs are called SIPClient and Smaptel.
 */
function isScanner(request: SipRequest, names: readonly string[]): boolean {
  const agent = request.headers.get('user-agent')?.trim().toLowerCase();
  return agent !== undefined && names.some((name) => beginsWith(agent, name.toLowerCase()));
}

function beginsWith(agent: string, name: string): boolean {
  return agent.startsWith(name) && !/[\w-]/.test(agent[name.length] ?? '');
}
