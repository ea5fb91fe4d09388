import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { MediaError, type MediaPlaneOptions, type PortShare } from '../types.js';

/** Loopback and wildcard hosts, with their counterparts in the other address family. */
const COUNTERPARTS: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', '::1'],
  ['::1', '127.0.0.1'],
  ['0.0.0.0', '::'],
  ['::', '0.0.0.0'],
]);

/** Family of an address; anything but an IPv6 address counts as IPv4. */
export const ipVersionOf = (address: string): IpVersion => (isIPv6(address) ? 6 : 4);

/** How long a dying process may still hold its ports, and how often they are tried meanwhile. */
const HELD_MS = 1000;
const HELD_RETRY_MS = 20;

/** Room for bursts while the process is busy: about a second of one phone's packets. */
const RECEIVE_BUFFER = 256 * 1024;

const WHOLE: PortShare = { part: 0, of: 1 };

/** Two bound sockets: RTP on an even port, RTCP on the next (RFC 3550 section 11). */
export interface PortPair {
  readonly rtp: Socket;
  readonly rtcp: Socket;
  readonly port: number;
}

/**
 * Hands out pairs of UDP ports from a range, round robin, so that a port is reused as late as possible: first those of its
 * share, then those of others. Otherwise a new call could take the port of a phone whose media host has just died.
 */
export class PortRange {
  readonly #first: number;
  readonly #pairs: number;
  readonly #share: PortShare;
  readonly #taken = new Set<number>();
  #next: number;

  /** @param range inclusive */
  constructor(range: readonly [first: number, last: number], share: PortShare = WHOLE) {
    this.#first = range[0] + (range[0] % 2);
    this.#pairs = Math.max(0, Math.floor((range[1] - this.#first + 1) / 2));
    this.#share = share;
    // Several gateways on one machine would otherwise fight over the same ports at start.
    this.#next = Math.floor(Math.random() * this.#pairs);
  }

  /** @throws MediaError NO_PORT when no pair in the range can be bound */
  async bind(host: string): Promise<PortPair> {
    const { part, of } = this.#share;
    const isOwn = (index: number): boolean => index % of === part;
    const pair = (await this.#bindOne(host, isOwn)) ?? (await this.#bindOne(host, (index) => !isOwn(index)));
    if (pair) return pair;
    throw new MediaError('NO_PORT', 'No UDP port for RTP is free.');
  }

  async #bindOne(host: string, mayTake: (index: number) => boolean): Promise<PortPair | undefined> {
    for (let tried = 0; tried < this.#pairs; tried += 1) {
      const index = this.#next;
      this.#next = (index + 1) % this.#pairs;
      const port = this.#first + 2 * index;
      if (!mayTake(index) || this.#taken.has(port)) continue;
      this.#taken.add(port);
      const pair = await bindPair(host, port);
      if (pair) return pair;
      this.#taken.delete(port);
    }
    return undefined;
  }

  /**
   * Binds a given pair: the one that a phone of a dead process had. It waits for a moment while that process still
   * holds it.
   * @throws MediaError NO_PORT
   */
  async bindAgain(host: string, port: number): Promise<PortPair> {
    const end = performance.now() + HELD_MS;
    do {
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      const pair = await bindPair(host, port);
      if (pair) return pair;
      this.#taken.delete(port);
    } while (performance.now() < end && (await delay(HELD_RETRY_MS, true)));
    throw new MediaError('NO_PORT', `The UDP ports ${port} and ${port + 1} for RTP are not free.`);
  }

  release(port: number): void {
    this.#taken.delete(port);
  }
}

async function bindPair(host: string, port: number): Promise<PortPair | undefined> {
  const rtp = await bind(host, port);
  if (!rtp) return undefined;
  const rtcp = await bind(host, port + 1);
  if (rtcp) return { rtp, rtcp, port };
  rtp.close();
  return undefined;
}

/**
 * @returns undefined when another program has the port
 * @throws MediaError NO_PORT when the host is not one of this machine's
 */
async function bind(host: string, port: number): Promise<Socket | undefined> {
  const family = host.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // Peers are always given as addresses: this saves a lookup for each packet.
    lookup: (address, _options, done) => done(null, address, family),
  });
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(new MediaError('NO_PORT', `Cannot bind UDP on ${host}.`, { cause: error }));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.setRecvBufferSize(RECEIVE_BUFFER);
      resolve(socket);
    });
  });
}

/** Address family. */
export type IpVersion = 4 | 6;

/** Where phone media is received. */
interface LocalHost {
  /** To bind. */
  readonly host: string;
  /** To put into SDP. */
  readonly announced: string;
}

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
