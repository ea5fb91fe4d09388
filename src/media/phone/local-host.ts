import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { MediaPlaneOptions } from '../types.js';

/** Address family. */
export type IpVersion = 4 | 6;

/** Where phone media is received. */
export interface LocalHost {
  /** To bind. */
  readonly host: string;
  /** To put into SDP. */
  readonly announced: string;
}

/** Hosts that exist in both families. */
const COUNTERPARTS: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', '::1'],
  ['::1', '127.0.0.1'],
  ['0.0.0.0', '::'],
  ['::', '0.0.0.0'],
]);

/** Family of an address; what is no IPv6 address counts as IPv4. */
export const ipVersionOf = (address: string): IpVersion => (isIPv6(address) ? 6 : 4);

/**
 * The host for a phone of an address family: the configured one, or its counterpart in the other family.
 * @returns undefined when this gateway has no host in that family
 */
export function localHost(options: MediaPlaneOptions, version: IpVersion): LocalHost | undefined {
  const { rtpHost, publicIp } = options;
  const host = ipVersionOf(rtpHost) === version ? rtpHost : COUNTERPARTS.get(rtpHost);
  if (host === undefined) return undefined;
  if (publicIp !== undefined && ipVersionOf(publicIp) === version) return { host, announced: publicIp };
  const isWildcard = host === '0.0.0.0' || host === '::';
  return { host, announced: isWildcard ? interfaceAddress(version) : host };
}

/** The first address of this machine that others can reach, or loopback when there is none. */
function interfaceAddress(version: IpVersion): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = addresses.find(
    ({ address, internal }) =>
      !internal && ipVersionOf(address) === version && !/^(fe80:|169\.254\.)/i.test(address),
  );
  return outside?.address ?? (version === 6 ? '::1' : '127.0.0.1');
}
