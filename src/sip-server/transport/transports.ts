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
import { describeError, type Log } from '../../shared/index.js';
import {
  type Backlog,
  StreamConnection,
  type ConnectionFault,
  type ConnectionLimits,
  connectToTlsPeer,
  type TlsPeerOptions,
} from './connection.js';
import { ConnectionTable, type ConnectionTableLimits, type ConnectionSlot } from './connection-table.js';
import type { Endpoint, Flow, Received, TransportName } from './flow.js';
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

interface TransportsOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Address to announce in Via and Contact in place of the bound one. */
  readonly publicHost: string | undefined;
  readonly tlsPeers: TlsPeerOptions;
  readonly limits: ConnectionLimits & ConnectionTableLimits;
  readonly log: Log;
  readonly received: Received;
  readonly broken: (head: Buffer, why: string, flow: Flow) => void;
  /** Whether this address may open a connection. */
  readonly admits: (host: string) => boolean;
  /** A connection was refused by a limit, closed for its peer's fault, or closed to make room. */
  readonly ended: (why: 'refused' | 'gave-way' | ConnectionFault) => void;
}

/** How often to try free ports until one is free for every transport. */
const MAX_PORT_ATTEMPTS = 20;

interface StreamListener {
  readonly transport: 'tcp' | 'tls';
  readonly server: Server;
  readonly bound: Endpoint;
}

/** All sockets of the SIP server: listeners and connections. */
export class Transports {
  readonly #options: TransportsOptions;
  readonly #udp: UdpListener[] = [];
  readonly #streams: StreamListener[] = [];
  readonly #connections = new Map<string, StreamConnection>();
  readonly #table: ConnectionTable;
  /** Slots of TLS connections during their handshake, by the peer's address and port. */
  readonly #handshakes = new Map<string, ConnectionSlot>();
  readonly #backlog: Backlog = { bytes: 0 };

  private constructor(options: TransportsOptions) {
    this.#options = options;
    this.#table = new ConnectionTable(options.limits, () => options.ended('gave-way'));
  }

  /** Opens all listeners. Rejects, with none left open, when one cannot be opened. */
  static async open(options: TransportsOptions): Promise<Transports> {
    for (let attempt = 1; ; attempt++) {
      const transports = new Transports(options);
      try {
        for (const listener of options.listeners) await transports.#listen(transports.#withPort(listener));
        return transports;
      } catch (error) {
        await transports.close();
        if (attempt >= MAX_PORT_ATTEMPTS || !mayBeFreeNextTime(error, options.listeners)) throw error;
      }
    }
  }

  /** The bound addresses, UDP first, each kind in the order of the configuration. */
  get addresses(): (Endpoint & { transport: TransportName })[] {
    return [
      ...this.#udp.map(({ bound }) => ({ transport: 'udp' as const, ...bound })),
      ...this.#streams.map(({ transport, bound }) => ({ transport, ...bound })),
    ];
  }

  get connectionCount(): number {
    return this.#table.size;
  }

  /** Our address for a transport towards a peer, by the peer's IP version; undefined when there is none. */
  advertised(transport: TransportName, remoteHost: string): Endpoint | undefined {
    const bound = this.#bound(transport, isIPv6(remoteHost));
    return bound && { host: this.#announce(bound.host), port: bound.port };
  }

  /**
   * A flow to a peer: the UDP socket, an open connection, or a new one. Undefined without a listener for it. `name`
   * is the name that a TLS peer's certificate must have; only connections verified for that name are reused.
   */
  flowTo(transport: TransportName, remote: Endpoint, name = remote.host): Flow | undefined {
    if (transport === 'udp') {
      const six = isIPv6(remote.host);
      return this.#udp.find(({ bound }) => isIPv6(bound.host) === six)?.flowTo(remote);
    }
    const key = connectionKey(transport, remote, this.#proven(transport, name));
    return this.#connections.get(key) ?? this.#connect(transport, remote, name);
  }

  /**
   * The flow of an earlier process: over UDP it goes on; a connection has closed with that process, so that the next
   * request opens one to where the peer wants to be reached.
   */
  flowAgain({ transport, local, remote }: Pick<Flow, 'transport' | 'local' | 'remote'>): Flow {
    if (transport === 'udp') {
      const six = isIPv6(remote.host);
      const same = this.#udp.filter(({ bound }) => isIPv6(bound.host) === six);
      const before = same.find(
        ({ advertised: { host, port } }) => host === local.host && port === local.port,
      );
      const listener = before ?? same[0];
      if (listener) return listener.flowTo(remote);
    }
    return {
      transport,
      reliable: transport !== 'udp',
      local,
      remote,
      open: false,
      send: (_bytes, onFailure) => {
        if (onFailure) setImmediate(onFailure, new Error('connection closed'));
      },
    };
  }

  /**
   * The way to the peer of a dialog that another server, elsewhere, had: over UDP from our own address to where the peer's
   * messages came from; its connection ended there. Undefined without a listener for its IP version.
   */
  flowElsewhere({ transport, remote }: Pick<Flow, 'transport' | 'remote'>): Flow | undefined {
    const local = this.advertised(transport, remote.host) ?? this.advertised('udp', remote.host);
    return local && this.flowAgain({ transport, local, remote });
  }

  /** Whether `host:port` is our address, for Route headers that name us. */
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
    for (const { evict } of this.#handshakes.values()) evict();
    await Promise.all([
      ...this.#udp.map((listener) => listener.close()),
      ...this.#streams.map(({ server }) => new Promise((resolve) => server.close(resolve))),
    ]);
  }

  /** UDP and TCP on one host share a free port, as they share the well-known one. */
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
      transport === 'tls'
        ? createTlsServer({ ...options.tls })
        : // TLS has no half of a connection to close (RFC 5246 section 7.2.1).
          createTcpServer({ allowHalfOpen: true });
    server.listen(options.port, options.host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('listener has no address');
    const bound = { host: address.address, port: address.port };
    server.on('error', (error: Error) =>
      log.error({ error: error.message, transport }, 'SIP listener error'),
    );
    server.on('tlsClientError', (error: unknown) =>
      log.debug({ error: describeError(error) }, 'TLS handshake failed'),
    );
    server.on('connection', (socket: Socket) => {
      const slot = this.#slotFor(socket);
      if (slot && transport === 'tcp') this.#accept('tcp', socket, bound, slot);
      else if (slot) this.#shakeHands(socket, slot);
    });
    server.on('secureConnection', (socket: Socket) => {
      const slot = this.#handshakes.get(peerOf(socket));
      this.#handshakes.delete(peerOf(socket));
      if (slot) this.#accept('tls', socket, bound, slot);
      else socket.destroy();
    });
    this.#streams.push({ transport, server, bound });
  }

  /**
   * A slot for a connection that a peer opened, taken before any handshake. Undefined, and the socket closed, when
   * full.
   */
  #slotFor(socket: Socket): ConnectionSlot | undefined {
    const host = socket.remoteAddress;
    // An error of a socket that we close at once would otherwise be uncaught.
    socket.on('error', () => undefined);
    const slot =
      host !== undefined && this.#options.admits(host)
        ? this.#table.take(host, false, () => socket.destroy())
        : undefined;
    if (!slot) {
      this.#options.ended('refused');
      socket.destroy();
      return undefined;
    }
    socket.once('close', () => this.#table.leave(slot));
    return slot;
  }

  #shakeHands(socket: Socket, slot: ConnectionSlot): void {
    const peer = peerOf(socket);
    this.#handshakes.set(peer, slot);
    // Node's own limit of a handshake is told of, and closes nothing.
    const timer = setTimeout(() => {
      if (this.#handshakes.get(peer) !== slot) return;
      this.#options.ended('silent');
      slot.evict();
    }, this.#options.limits.firstMs);
    socket.once('close', () => {
      clearTimeout(timer);
      if (this.#handshakes.get(peer) === slot) this.#handshakes.delete(peer);
    });
  }

  #accept(transport: 'tcp' | 'tls', socket: Socket, bound: Endpoint, slot: ConnectionSlot): void {
    const port = socket.remotePort;
    if (port === undefined) socket.destroy();
    else this.#adopt(transport, socket, { host: slot.host, port }, bound, '', slot, false);
  }

  #connect(transport: 'tcp' | 'tls', remote: Endpoint, name: string): StreamConnection | undefined {
    const bound = this.#bound(transport, isIPv6(remote.host));
    const slot = bound && this.#table.take(remote.host, true, () => undefined);
    if (!slot) return undefined;
    const { tlsPeers, log } = this.#options;
    const socket =
      transport === 'tls'
        ? connectToTlsPeer(remote, name, tlsPeers, this.#ownCertificate)
        : connectTcp(remote.port, remote.host);
    socket.on('error', (error: Error) =>
      log.warn({ peer: remote.host, name, error: error.message }, 'a connection to a SIP peer failed'),
    );
    return this.#adopt(transport, socket, remote, bound, this.#proven(transport, name), slot, true);
  }

  /** The part of a connection's key that says for which name its certificate was verified. */
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
    slot: ConnectionSlot,
    ours: boolean,
  ): StreamConnection {
    const { limits, received, broken, ended } = this.#options;
    const local = { host: this.#announce(bound.host), port: bound.port };
    const key = connectionKey(transport, remote, proven);
    const closed = (connection: StreamConnection): void => {
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
      this.#table.leave(slot);
    };
    const connection = new StreamConnection(
      transport,
      socket,
      { local, remote },
      ours,
      limits,
      this.#backlog,
      {
        received,
        broken,
        heard: () => this.#table.heard(slot),
        fault: ended,
        closed,
      },
    );
    slot.evict = () => connection.destroy();
    this.#connections.set(key, connection);
    return connection;
  }

  #bound(transport: TransportName, six: boolean): Endpoint | undefined {
    const listeners =
      transport === 'udp' ? this.#udp : this.#streams.filter((s) => s.transport === transport);
    return listeners.find(({ bound }) => isIPv6(bound.host) === six)?.bound;
  }

  #announce(boundHost: string): string {
    const six = isIPv6(boundHost);
    // One public address stands for every IPv4 socket. IPv6 has no such NAT.
    if (!six && this.#options.publicHost !== undefined) return this.#options.publicHost;
    return boundHost === '0.0.0.0' || boundHost === '::' ? outsideAddress(six) : boundHost;
  }
}

/** The first address of this machine that others can reach, for sockets bound to all addresses. */
function outsideAddress(six: boolean): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const fits = all.find((each) => !each.internal && each.family === (six ? 'IPv6' : 'IPv4'));
  return fits?.address ?? (six ? '::1' : '127.0.0.1');
}

/** A port that the system chose is in use by another transport. One that was asked for stays in use. */
function mayBeFreeNextTime(error: unknown, listeners: readonly ListenerOptions[]): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') return false;
  const inUse = 'port' in error ? error.port : undefined;
  return listeners.some(({ port }) => port === 0) && listeners.every(({ port }) => port !== inUse);
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}/${remotePort}`;
}

function connectionKey(transport: TransportName, remote: Endpoint, proven: string): string {
  return `${transport}/${remote.host}/${remote.port}/${proven}`;
}
