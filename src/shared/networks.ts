import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Whether an address is in one of the networks. */
export type AddressFilter = (address: string) => boolean;

type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** @throws Error when an entry is neither an address nor a CIDR */
function networkFrom(entry: string): Network {
  const text = entry.trim();
  if (text.includes('/') && ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  // By Node's rules: the library takes short forms and numbers of IPv4 addresses too.
  const version = isIP(text);
  if (version === 0) throw new Error(`not an address or CIDR: ${entry}`);
  return [ipaddr.parse(text), version === 6 ? 128 : 32];
}

/**
 * @param entries addresses and CIDRs
 * @throws Error when an entry is neither
 */
export function inNetworks(entries: readonly string[]): AddressFilter {
  const ranges = entries.map(networkFrom);
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return ranges.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits));
  };
}

/** What the limits for each address count by: one IPv4 address, or the /64 that one IPv6 customer has. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}

/** The address in one spelling (IPv4 in IPv6 as IPv4); undefined for what is none. */
export function asAddress(text: string): string | undefined {
  // By Node's rules: the library takes the number of an IPv4 address too.
  return isIP(text) === 0 ? undefined : ipaddr.process(text).toString();
}
