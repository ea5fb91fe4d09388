import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

const HOST_TYPE_PREFERENCE = 126;

/**
 * The values of `a=candidate` for a UDP port that all paths share (RFC 8839 section 5.1): they follow from where we
 * listen, so that they are known before any path is made.
 * @param host what the port is bound to; `0.0.0.0` or `::` stands for the addresses of all interfaces
 * @param publicIp announced in place of all of them
 */
export function hostCandidates(host: string, port: number, publicIp?: string): string[] {
  const addresses = publicIp === undefined ? boundAddresses(host) : [publicIp];
  return addresses.map((address, index) => {
    // RFC 8445 section 5.1.2.1: the earlier, the better; component 1.
    const priority = HOST_TYPE_PREFERENCE * 2 ** 24 + (0xffff - index) * 2 ** 8 + 255;
    return `${index + 1} 1 UDP ${priority} ${address} ${port} typ host`;
  });
}

function boundAddresses(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const wanted = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(
      ({ internal, family, address }) =>
        !internal && (host === '::' || family === 'IPv4') && !isLinkLocal(address),
    )
    .map(({ address }) => address);
  // A machine without a network still serves itself.
  return wanted.length > 0 ? wanted : [host === '::' ? '::1' : '127.0.0.1'];
}

/** Of use only together with the interface's name, which no SDP carries. */
const isLinkLocal = (address: string): boolean => isIPv6(address) && /^fe[89ab]/i.test(address);
