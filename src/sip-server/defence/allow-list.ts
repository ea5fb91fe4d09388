import { BlockList, isIP } from 'node:net';

/** Which addresses may talk to the server at all. */
export class AllowList {
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
