import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import ipaddr from 'ipaddr.js';

/** Which addresses webhooks may be sent to. */
export interface TargetRules {
  /** CIDRs; when there are any, only addresses in them are called. */
  readonly allow?: readonly string[];
  /** CIDRs that are never called, beside those that never are anyway. */
  readonly deny?: readonly string[];
}

/**
 * Never called: link-local addresses, where clouds keep the credentials of their machines, the clouds' other
 * metadata addresses, and addresses that name no single machine. Loopback and private addresses are called,
 * since an application may well run on the gateway's machine or in its network.
 */
const NEVER = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'fe80::/10',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'ff00::/8',
];

const NAT64 = ipaddr.parseCIDR('64:ff9b::/96');

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Cidr = [Address, number];
type Lookup = typeof systemLookup;
type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** Thrown in place of calling an address that must not be called. */
export class TargetDeniedError extends Error {
  override readonly name = 'TargetDeniedError';
}

/** Keeps webhooks away from addresses that only the gateway's own machine should reach. */
export class TargetGuard {
  readonly #allow: readonly Cidr[];
  readonly #deny: readonly Cidr[];

  /** @throws Error when a rule is not a CIDR */
  constructor(rules: TargetRules) {
    this.#allow = (rules.allow ?? []).map((cidr) => ipaddr.parseCIDR(cidr));
    this.#deny = [...NEVER, ...(rules.deny ?? [])].map((cidr) => ipaddr.parseCIDR(cidr));
  }

  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const target = reached(ipaddr.process(address));
    if (this.#deny.some((cidr) => contains(cidr, target))) return false;
    return this.#allow.length === 0 || this.#allow.some((cidr) => contains(cidr, target));
  }

  /**
   * Checks a URL whose host is an address: those are connected to without being looked up.
   * @throws TargetDeniedError
   */
  checkLiteral(url: URL): void {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    if (ipaddr.isValid(host) && !this.allows(host)) throw denied(host);
  }

  /**
   * A `dns.lookup` that finds only addresses that may be called. The connection is made to just what it finds,
   * so a name that changes its mind between check and use gains nothing.
   */
  lookup(resolve: Lookup = systemLookup) {
    return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        const allowed = error ? [] : addresses.filter(({ address }) => this.allows(address));
        const [first] = allowed;
        if (!first) callback(error ?? denied(hostname), []);
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    };
  }
}

function denied(host: string): TargetDeniedError {
  return new TargetDeniedError(`Webhooks must not be sent to ${host}.`);
}

function contains([range, bits]: Cidr, address: Address): boolean {
  return range.kind() === address.kind() && address.match(range, bits);
}

/** What is at the other end: an address behind NAT64 (RFC 6052) is the IPv4 one in its last 32 bits. */
function reached(address: Address): Address {
  if (!contains(NAT64, address)) return address;
  return ipaddr.fromByteArray(address.toByteArray().slice(12));
}
