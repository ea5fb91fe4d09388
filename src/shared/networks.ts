import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Whether an address is in one of the networks. */
export type AddressFilter = (address: string) => boolean;

type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** @throws Error when an entry is neither an address nor a CIDR */
function networkFrom(entry: string): Network {
  const text = entry.trim();
  if (text.includes('/') && ipaddr.isValidCIDR(text)) return unmapped(ipaddr.parseCIDR(text));
  // Checked by Node, since the library also accepts short forms and plain numbers as IPv4 addresses.
  const version = isIP(text);
  if (version === 0) throw new Error(`not an address or CIDR: ${entry}`);
  return unmapped([ipaddr.parse(text), version === 6 ? 128 : 32]);
}

/** A network of IPv4-mapped addresses as one of IPv4 addresses, as which {@link inNetworks} compares them. */
function unmapped(network: Network): Network {
  const [address, bits] = network;
  if (!(address instanceof ipaddr.IPv6) || !address.isIPv4MappedAddress() || bits < 96) return network;
  return [address.toIPv4Address(), bits - 96];
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

/** The key for limits per address: an IPv4 address, or the /64 of an IPv6 address, since one customer has a whole /64. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}

/** An address in its canonical spelling, IPv4-mapped ones as IPv4; undefined if the text is no address. */
export function asAddress(text: string): string | undefined {
  // Checked by Node, since the library also accepts a plain number as an IPv4 address.
  return isIP(text) === 0 ? undefined : ipaddr.process(text).toString();
}
