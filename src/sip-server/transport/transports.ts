import { once } from 'node:events';
import {
  connect as connectTcp,
  createServer as createTcpServer,
  isIPv6,
  type Server,
  type Socket,
} from 'node:net';
import { networkInterfaces } from 'node:os';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { describeError, type SipLog } from '../log.js';
import { Connection, type ConnectionLimits } from './connection.js';
import type { Endpoint, Flow, Received, TransportName } from './flow.js';
import { connectToTlsPeer, type TlsPeerOptions } from './tls-peer.js';
import { UdpListener } from './udp.js';

/** One address to listen on. */
export interface ListenerOptions {
  readonly transport: TransportName;
  /** An IP address of this machine. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** For `tls`: certificate and key in PEM. */
  readonly tls?: Pick<TlsOptions, 'cert' | 'key' | 'ca' | 'requestCert' | 'minVersion'>;
}

export interface TransportsOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Address to announce in Via and Contact instead of the bound one. */
  readonly publicHost: string | undefined;
  readonly tlsPeers: TlsPeerOptions;
  readonly limits: ConnectionLimits & { readonly maxConnections: number; readonly maxPerAddress: number };
  readonly log: SipLog;
  readonly received: Received;
  readonly broken: (head: Buffer, why: string, flow: Flow) => void;
  /** Whether this address may connect. */
  readonly admits: (host: string) => boolean;
  /** A connection was refused by a limit. */
  readonly refused: () => void;
}

/** How often free ports are tried until one is free for every transport. */
const MAX_PORT_ATTEMPTS = 20;

interface StreamListener {
  readonly transport: 'tcp' | 'tls';
  readonly server: Server;
  readonly bound: Endpoint;
}

/** Every socket of the SIP server: what it listens on and the connections that it opened. */
export class Transports {
  readonly #options: TransportsOptions;
  readonly #udp: UdpListener[] = [];
  readonly #streams: StreamListener[] = [];
  readonly #connections = new Map<string, Connection>();
  readonly #perAddress = new Map<string, number>();

  private constructor(options: TransportsOptions) {
    this.#options = options;
  }

  /** Opens all listeners; rejects, with none left open, when one cannot be. */
  static async open(options: TransportsOptions): Promise<Transports> {
    for (let attempt = 1; ; attempt++) {
      const transports = new Transports(options);
      try {
        for (const listener of options.listeners) await transports.#listen(transports.#withPort(listener));
        return transports;
      } catch (error) {
        await transports.close();
        const anyPort = options.listeners.some(({ port }) => port === 0);
        if (attempt >= MAX_PORT_ATTEMPTS || !anyPort || !isAddressInUse(error)) throw error;
      }
    }
  }

  /** The bound addresses, in the order of the configuration within each kind. */
  get addresses(): (Endpoint & { transport: TransportName })[] {
    return [
      ...this.#udp.map(({ bound }) => ({ transport: 'udp' as const, ...bound })),
      ...this.#streams.map(({ transport, bound }) => ({ transport, ...bound })),
    ];
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** The address to announce for a transport toward a peer of that IP version; undefined when there is none. */
  advertised(transport: TransportName, remoteHost: string): Endpoint | undefined {
    const bound = this.#bound(transport, isIPv6(remoteHost));
    return bound && { host: this.#announce(bound.host), port: bound.port };
  }

  /**
   * A flow to a peer: the UDP socket, an open connection, or a new one. Undefined without such a listener.
   * `name` is whom a TLS peer must prove to be; only connections on which it has are used again.
   */
  flowTo(transport: TransportName, remote: Endpoint, name = remote.host): Flow | undefined {
    if (transport === 'udp') {
      const six = isIPv6(remote.host);
      return this.#udp.find(({ bound }) => isIPv6(bound.host) === six)?.flowTo(remote);
    }
    const key = connectionKey(transport, remote, this.#proven(transport, name));
    return this.#connections.get(key) ?? this.#connect(transport, remote, name);
  }

  /** Whether `host:port` is one of ours, for Route headers that name us. */
  isOurs(host: string, port: number | undefined): boolean {
    return this.addresses.some(
      (address) =>
        (host === address.host || host === this.#announce(address.host)) &&
        (port ?? (address.transport === 'tls' ? 5061 : 5060)) === address.port,
    );
  }

  /** Closes every socket. */
  async close(): Promise<void> {
    for (const connection of this.#connections.values()) connection.close();
    await Promise.all([
      ...this.#udp.map((listener) => listener.close()),
      ...this.#streams.map(({ server }) => new Promise((resolve) => server.close(resolve))),
    ]);
  }

  /** UDP and TCP on one host share a free port number, as their well-known one is shared. */
  #withPort(options: ListenerOptions): ListenerOptions {
    if (options.port !== 0 || options.transport === 'tls') return options;
    const twin = this.addresses.find(({ transport, host }) => transport !== 'tls' && host === options.host);
    return twin ? { ...options, port: twin.port } : options;
  }

  async #listen(options: ListenerOptions): Promise<void> {
    const { log, received } = this.#options;
    if (options.transport === 'udp') {
      const failed = (error: Error): void => log.warn({ error: error.message }, 'UDP socket error');
      this.#udp.push(await UdpListener.open(options, this.#announce(options.host), received, failed));
      return;
    }
    const { transport } = options;
    const server =
      transport === 'tls' ? createTlsServer({ ...options.tls, handshakeTimeout: 10_000 }) : createTcpServer();
    server.listen(options.port, options.host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('listener has no address');
    const bound = { host: address.address, port: address.port };
    // Unauthenticated sockets are counted from the first byte on, so a flood of handshakes stays bounded too.
    server.maxConnections = this.#options.limits.maxConnections;
    server.on('error', (error: Error) =>
      log.error({ error: error.message, transport }, 'SIP listener error'),
    );
    server.on('tlsClientError', (error: unknown) =>
      log.debug({ error: describeError(error) }, 'TLS handshake failed'),
    );
    server.on(transport === 'tls' ? 'secureConnection' : 'connection', (socket: Socket) =>
      this.#accept(transport, socket, bound),
    );
    this.#streams.push({ transport, server, bound });
  }

  #accept(transport: 'tcp' | 'tls', socket: Socket, bound: Endpoint): void {
    const host = socket.remoteAddress;
    const port = socket.remotePort;
    const limits = this.#options.limits;
    if (host === undefined || port === undefined) {
      socket.destroy();
      return;
    }
    const full =
      this.#connections.size >= limits.maxConnections ||
      (this.#perAddress.get(host) ?? 0) >= limits.maxPerAddress;
    if (full || !this.#options.admits(host)) {
      this.#options.refused();
      socket.destroy();
      return;
    }
    this.#adopt(transport, socket, { host, port }, bound, '');
  }

  #connect(transport: 'tcp' | 'tls', remote: Endpoint, name: string): Connection | undefined {
    const bound = this.#bound(transport, isIPv6(remote.host));
    if (!bound || this.#connections.size >= this.#options.limits.maxConnections) return undefined;
    const { tlsPeers, log } = this.#options;
    const socket =
      transport === 'tls'
        ? connectToTlsPeer(remote, name, tlsPeers, this.#ownCertificate)
        : connectTcp(remote.port, remote.host);
    socket.on('error', (error: Error) =>
      log.warn({ peer: remote.host, name, error: error.message }, 'a connection to a SIP peer failed'),
    );
    return this.#adopt(transport, socket, remote, bound, this.#proven(transport, name));
  }

  /** The part of a connection's key that tells for whom its peer has vouched. */
  #proven(transport: TransportName, name: string): string {
    return transport === 'tls' && this.#options.tlsPeers.verify ? name.toLowerCase() : '';
  }

  get #ownCertificate(): Pick<TlsOptions, 'cert' | 'key'> {
    const own = this.#options.listeners.find(({ transport }) => transport === 'tls')?.tls;
    return { cert: own?.cert, key: own?.key };
  }

  #adopt(
    transport: 'tcp' | 'tls',
    socket: Socket,
    remote: Endpoint,
    bound: Endpoint,
    proven: string,
  ): Connection {
    const { limits, received, broken } = this.#options;
    const local = { host: this.#announce(bound.host), port: bound.port };
    const key = connectionKey(transport, remote, proven);
    const closed = (connection: Connection): void => {
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
      const count = (this.#perAddress.get(remote.host) ?? 1) - 1;
      if (count > 0) this.#perAddress.set(remote.host, count);
      else this.#perAddress.delete(remote.host);
    };
    const connection = new Connection(transport, socket, { local, remote }, limits, {
      received,
      broken,
      closed,
    });
    this.#connections.set(key, connection);
    this.#perAddress.set(remote.host, (this.#perAddress.get(remote.host) ?? 0) + 1);
    return connection;
  }

  #bound(transport: TransportName, six: boolean): Endpoint | undefined {
    const listeners =
      transport === 'udp' ? this.#udp : this.#streams.filter((s) => s.transport === transport);
    return listeners.find(({ bound }) => isIPv6(bound.host) === six)?.bound;
  }

  #announce(boundHost: string): string {
    const six = isIPv6(boundHost);
    // One public address stands for every IPv4 socket; IPv6 has no such NAT.
    if (!six && this.#options.publicHost !== undefined) return this.#options.publicHost;
    return boundHost === '0.0.0.0' || boundHost === '::' ? outsideAddress(six) : boundHost;
  }
}

/** The first address of this machine that others can reach, for sockets that are bound to all of them. */
function outsideAddress(six: boolean): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const fits = all.find((each) => !each.internal && each.family === (six ? 'IPv6' : 'IPv4'));
  return fits?.address ?? (six ? '::1' : '127.0.0.1');
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function connectionKey(transport: TransportName, remote: Endpoint, proven: string): string {
  return `${transport}/${remote.host}/${remote.port}/${proven}`;
}
