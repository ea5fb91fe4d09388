import type { LookupAddress, LookupOptions } from 'node:dns';
import ipaddr from 'ipaddr.js';
import { type AddressFilter, hostNames, inNetworks } from '../../shared/index.js';

/** Which addresses URLs of applications may lead to. */
export interface TargetRules {
  /** Addresses and CIDRs; if there are any, no other addresses are called. */
  readonly allow?: readonly string[];
  /** Addresses and CIDRs that are never called, in addition to those in {@link NEVER}. */
  readonly deny?: readonly string[];
}

/**
 * Never called: link-local addresses, where clouds serve their machines' credentials, the clouds' other metadata
 * addresses, and addresses that are not one machine's. Loopback and private addresses are allowed, since an application
 * often runs on the gateway's machine or in its network.
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

/** IPv6 ranges whose addresses lead to an IPv4 address, and which bytes hold it. */
const EMBEDDING: readonly {
  readonly isIn: AddressFilter;
  readonly at: readonly (readonly number[])[];
  /** The bits of the address are inverted. */
  readonly inverted?: true;
}[] = [
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765) addresses.
  { isIn: inNetworks(['::/96']), at: [[12, 13, 14, 15]] },
  { isIn: inNetworks(['::ffff:0:0:0/96']), at: [[12, 13, 14, 15]] },
  // NAT64 (RFC 6052 section 2.2). Operators may use any prefix length within the local one (RFC 8215).
  { isIn: inNetworks(['64:ff9b::/96']), at: [[12, 13, 14, 15]] },
  {
    isIn: inNetworks(['64:ff9b:1::/48']),
    at: [
      [6, 7, 9, 10],
      [7, 9, 10, 11],
      [9, 10, 11, 12],
      [12, 13, 14, 15],
    ],
  },
  // 6to4 (RFC 3056).
  { isIn: inNetworks(['2002::/16']), at: [[2, 3, 4, 5]] },
  // Teredo (RFC 4380 section 4): the server, and the client behind its NAT.
  { isIn: inNetworks(['2001::/32']), at: [[4, 5, 6, 7]] },
  { isIn: inNetworks(['2001::/32']), at: [[12, 13, 14, 15]], inverted: true },
];

/** The one address of ::/96 that leads to no IPv4 address. */
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

/** How long the creation of a participant waits for a name server. */
const REFUSAL_LIMIT_MS = 1_000;

/** The address must not be called. */
class TargetDeniedError extends Error {
  override readonly name = 'TargetDeniedError';
}

/**
 * Keeps webhooks, and whatever else goes to URLs of applications, away from addresses that only the gateway's own machine
 * should reach.
 */
export class TargetGuard {
  readonly #isAllowed: AddressFilter;
  readonly #isDenied: AddressFilter;

  /** @throws Error when a rule is neither an address nor a CIDR */
  constructor(rules: TargetRules) {
    const { allow = [], deny = [] } = rules;
    this.#isAllowed = allow.length === 0 ? () => true : inNetworks(allow);
    this.#isDenied = inNetworks([...NEVER, ...deny]);
  }

  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const target = ipaddr.process(address);
    const reached = [target, ...embedded(target)].map(String);
    return !reached.some(this.#isDenied) && reached.some(this.#isAllowed);
  }

  /**
   * Checks a URL whose host is an address, since no lookup precedes the connection then.
   * @throws TargetDeniedError
   */
  checkLiteral(url: URL): void {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    if (ipaddr.isValid(host) && !this.allows(host)) throw denied(host);
  }

  /**
   * Why a URL would not be called, for people; undefined if it would. A name that is not found in time is no reason,
   * since it is looked up again for each webhook.
   */
  async refusal(url: URL, resolve: Resolve = findAll): Promise<string | undefined> {
    try {
      this.checkLiteral(url);
      await new Promise<void>((done, fail) => {
        setTimeout(done, REFUSAL_LIMIT_MS).unref();
        this.lookup(resolve)(url.hostname, { all: true }, (error) => {
          if (error instanceof TargetDeniedError) fail(error);
          else done();
        });
      });
      return undefined;
    } catch (error) {
      if (error instanceof TargetDeniedError) return error.message;
      throw error;
    }
  }

  /**
   * A `dns.lookup` that finds only allowed addresses. The connection is made to an address that it found, so a name that
   * resolves differently after the check gains nothing (DNS rebinding).
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
  return new TargetDeniedError(`The gateway must not connect to ${host}.`);
}

/** The IPv4 addresses to which an IPv6 address may lead. */
function embedded(address: Address): readonly Address[] {
  if (address.kind() === 'ipv4' || address.toString() === LOOPBACK.toString()) return [];
  const bytes = address.toByteArray();
  const text = address.toString();
  const found = EMBEDDING.filter(({ isIn }) => isIn(text)).flatMap(({ at, inverted }) =>
    at
      .map((places) => places.map((place) => bytes[place]! ^ (inverted ? 0xff : 0)))
      // If several places are possible, those that do not hold the address hold zeros.
      .filter(([first]) => at.length === 1 || first !== 0),
  );
  if (isIsatap(bytes)) found.push(bytes.slice(12));
  return found.map((parts) => ipaddr.fromByteArray(parts));
}

/** An interface identifier of ISATAP (RFC 5214 section 6.1): 0000:5efe or 0200:5efe, then the IPv4 address. */
function isIsatap(bytes: readonly number[]): boolean {
  return (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}
