import type { LookupAddress, LookupOptions } from 'node:dns';
import ipaddr from 'ipaddr.js';
import { hostNames } from '../../shared/index.js';

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

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Cidr = [Address, number];

/** IPv6 ranges whose addresses lead to IPv4 ones, and the bytes in which those stand. */
const EMBEDDING: readonly {
  readonly range: Cidr;
  readonly at: readonly (readonly number[])[];
  /** The address stands there with all bits turned over. */
  readonly inverted?: true;
}[] = [
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765) addresses.
  { range: ipaddr.parseCIDR('::/96'), at: [[12, 13, 14, 15]] },
  { range: ipaddr.parseCIDR('::ffff:0:0:0/96'), at: [[12, 13, 14, 15]] },
  // NAT64 (RFC 6052 section 2.2). The local prefix (RFC 8215) is an operator's to divide, so every length counts.
  { range: ipaddr.parseCIDR('64:ff9b::/96'), at: [[12, 13, 14, 15]] },
  {
    range: ipaddr.parseCIDR('64:ff9b:1::/48'),
    at: [
      [6, 7, 9, 10],
      [7, 9, 10, 11],
      [9, 10, 11, 12],
      [12, 13, 14, 15],
    ],
  },
  // 6to4 (RFC 3056).
  { range: ipaddr.parseCIDR('2002::/16'), at: [[2, 3, 4, 5]] },
  // Teredo (RFC 4380 section 4): the server, and the client behind its NAT.
  { range: ipaddr.parseCIDR('2001::/32'), at: [[4, 5, 6, 7]] },
  { range: ipaddr.parseCIDR('2001::/32'), at: [[12, 13, 14, 15]], inverted: true },
];

/** The one address of ::/96 that stands for itself. */
const LOOPBACK = ipaddr.parse('::1');
/** Finds all addresses of a name, as `dns.lookup` does. */
export type Resolve = (
  name: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;
type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** Thrown in place of calling an address that must not be called. */
class TargetDeniedError extends Error {
  override readonly name = 'TargetDeniedError';
}

/** Keeps webhooks away from addresses that only the gateway's own machine should reach. */
export class TargetGuard {
  readonly #allow: readonly Cidr[];
  readonly #deny: readonly Cidr[];

  /** @throws Error when a rule is not a CIDR */
  constructor(rules: TargetRules) {
    this.#allow = (rules.allow ?? []).map(cidrOf);
    this.#deny = [...NEVER, ...(rules.deny ?? [])].map(cidrOf);
  }

  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const target = ipaddr.process(address);
    const reached = [target, ...embedded(target)];
    if (reached.some((one) => this.#deny.some((cidr) => contains(cidr, one)))) return false;
    return this.#allow.length === 0 || reached.some((one) => this.#allow.some((cidr) => contains(cidr, one)));
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
  lookup(resolve: Resolve = findAll) {
    return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
      resolve(hostname, { all: true }, (error, addresses) => {
        const allowed = error ? [] : addresses.filter(({ address }) => this.allows(address));
        const [first] = allowed;
        if (!first) callback(error ?? denied(hostname), []);
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    };
  }
}

const findAll: Resolve = (name, _options, callback) => {
  hostNames.find(name).then(
    (found) => callback(null, [...found]),
    (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), []),
  );
};

function denied(host: string): TargetDeniedError {
  return new TargetDeniedError(`Webhooks must not be sent to ${host}.`);
}

function contains([range, bits]: Cidr, address: Address): boolean {
  return range.kind() === address.kind() && address.match(range, bits);
}

/** A range; one of IPv4-mapped addresses is that of the IPv4 addresses in them, as which targets are looked at. */
function cidrOf(text: string): Cidr {
  const [address, bits] = ipaddr.parseCIDR(text);
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

/** The IPv4 addresses to which an IPv6 one may lead. */
function embedded(address: Address): readonly Address[] {
  if (address.kind() === 'ipv4' || address.toString() === LOOPBACK.toString()) return [];
  const bytes = address.toByteArray();
  const found = EMBEDDING.filter(({ range }) => contains(range, address)).flatMap(({ at, inverted }) =>
    at
      .map((places) => places.map((place) => bytes[place]! ^ (inverted ? 0xff : 0)))
      // Where there are several places, the others hold zeros.
      .filter(([first]) => at.length === 1 || first !== 0),
  );
  if (isIsatap(bytes)) found.push(bytes.slice(12));
  return found.map((parts) => ipaddr.fromByteArray(parts));
}

/** An interface identifier of ISATAP (RFC 5214 section 6.1): 0000:5efe or 0200:5efe, then the IPv4 address. */
function isIsatap(bytes: readonly number[]): boolean {
  return (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}
