import { createSocket, type Socket } from 'node:dgram';
import type { LookupOneOptions } from 'node:dns';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Endpoint, Flow, Received, TransportName } from './flow.js';
import type { SipMessage } from '../message/message.js';
import type { Via } from '../message/headers.js';

/** A UDP socket that receives SIP. */
export class UdpListener {
  readonly transport = 'udp';
  readonly #socket: Socket;
  readonly #advertised: Endpoint;
  readonly bound: Endpoint;
  /** Peers send many messages in a row, and what is kept of each holds on to its flow. */
  #lastFrom: Flow | undefined;

  private constructor(socket: Socket, bound: Endpoint, advertisedHost: string) {
    this.#socket = socket;
    this.bound = bound;
    this.#advertised = { host: advertisedHost, port: bound.port };
  }

  /** Binds and starts to receive; rejects when the address is taken. */
  static async open(
    address: Endpoint,
    advertisedHost: string,
    received: Received,
    failed: (error: Error) => void,
  ): Promise<UdpListener> {
    const type = isIPv6(address.host) ? ('udp6' as const) : ('udp4' as const);
    const socket = createSocket({ type, recvBufferSize: 4 << 20, lookup: literal });
    // With a lookup that answers at once, binding is over before it returns.
    const listening = once(socket, 'listening');
    socket.bind(address.port, address.host);
    await listening;
    const { address: host, port } = socket.address();
    const listener = new UdpListener(socket, { host, port }, advertisedHost);
    // A datagram that could not be delivered surfaces here (ECONNREFUSED and the like).
    socket.on('error', failed);
    socket.on('message', (bytes, { address, port }) => received(bytes, listener.#flowFrom(address, port)));
    return listener;
  }

  get advertised(): Endpoint {
    return this.#advertised;
  }

  flowTo(remote: Endpoint): Flow {
    return new UdpFlow(this.#socket, this.#advertised, remote);
  }

  #flowFrom(host: string, port: number): Flow {
    const last = this.#lastFrom;
    if (last?.remote.host === host && last.remote.port === port) return last;
    this.#lastFrom = this.flowTo({ host, port });
    return this.#lastFrom;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}

/** Stands in for DNS: only addresses are sent to, and they need no turn of the event loop to be found. */
function literal(
  host: string,
  options: LookupOneOptions,
  found: (error: null, address: string, family: number) => void,
): void {
  found(null, host, options.family === 6 || isIPv6(host) ? 6 : 4);
}

class UdpFlow implements Flow {
  readonly transport = 'udp';
  readonly reliable = false;
  readonly open = true;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #socket: Socket;

  constructor(socket: Socket, local: Endpoint, remote: Endpoint) {
    this.#socket = socket;
    this.local = local;
    this.remote = remote;
  }

  send(bytes: Buffer, onFailure?: (error: Error) => void): void {
    try {
      this.#socket.send(bytes, this.remote.port, this.remote.host, (error) => {
        if (error) onFailure?.(error);
      });
    } catch (error) {
      // Thrown for a closed socket or an impossible port.
      onFailure?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** The one way out: everything that leaves the server passes here, to be counted, logged and held in bounds. */
export interface Sender {
  send(flow: Flow, bytes: Buffer, kind: SipMessage['kind'], onFailure?: (error: Error) => void): void;
  sendMessage(flow: Flow, message: SipMessage): void;
  /** `name` is whom a TLS peer must prove to be; its address when left out. */
  flowTo(transport: TransportName, remote: Endpoint, name?: string): Flow | undefined;
  /** The peer of a flow repeated something that only a receiver of our packets can know. */
  prove(flow: Flow): void;
}

/**
 * Where responses to a request go (RFC 3261 section 18.2.2, RFC 3581): the connection it came by, or a new one
 * to its sender when that is gone; over UDP the source address, at the source port when `rport` asks for it.
 * A Via's `maddr` is not followed: it would let anyone aim our replies at a third party.
 */
export function replyFlow(flow: Flow, via: Via, sender: Pick<Sender, 'flowTo'>): () => Flow {
  if (flow.transport === 'udp') {
    if (via.params.has('rport') || via.port === flow.remote.port) return always(flow);
    return always(sender.flowTo('udp', { host: flow.remote.host, port: via.port ?? 5060 }) ?? flow);
  }
  const port = via.port ?? (flow.transport === 'tls' ? 5061 : 5060);
  const remote = { host: flow.remote.host, port };
  const name = via.host;
  return () => (flow.open ? flow : (sender.flowTo(flow.transport, remote, name) ?? flow));
}

/** Holds the flow and nothing else of the request. */
function always(flow: Flow): () => Flow {
  return () => flow;
}

/** The Via value with `received` and `rport` as the server that got the request must add them; undefined: as it is. */
export function markedVia(via: Via, source: Endpoint): Via | undefined {
  const wantsPort = via.params.has('rport');
  if (!wantsPort && via.host === source.host) return undefined;
  const params = new Map(via.params);
  params.set('received', source.host);
  if (wantsPort) params.set('rport', String(source.port));
  return { ...via, params };
}
