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
  /** The last flow, reused: peers send many messages in a row, and each transaction keeps its flow. */
  #lastFrom: Flow | undefined;

  private constructor(socket: Socket, bound: Endpoint, advertisedHost: string) {
    this.#socket = socket;
    this.bound = bound;
    this.#advertised = { host: advertisedHost, port: bound.port };
  }

  /** Binds and starts to receive. Rejects when the address is taken. */
  static async open(
    address: Endpoint,
    advertisedHost: string,
    received: Received,
    failed: (error: Error) => void,
  ): Promise<UdpListener> {
    const type = isIPv6(address.host) ? ('udp6' as const) : ('udp4' as const);
    const socket = createSocket({ type, recvBufferSize: 4 << 20, lookup: literal });
    // Binding may complete within bind(), because our lookup answers at once.
    const listening = once(socket, 'listening');
    socket.bind(address.port, address.host);
    await listening;
    const { address: host, port } = socket.address();
    const listener = new UdpListener(socket, { host, port }, advertisedHost);
    // Errors of undeliverable datagrams (such as ECONNREFUSED).
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

/** Replaces DNS: we only send to addresses, which need no lookup and no turn of the event loop. */
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

/** Everything that leaves the server passes here, to be counted, traced and limited. */
export interface Sender {
  send(flow: Flow, bytes: Buffer, kind: SipMessage['kind'], onFailure?: (error: Error) => void): void;
  sendMessage(flow: Flow, message: SipMessage): void;
  /** `name` is the name that a TLS peer's certificate must have; default: its address. */
  flowTo(transport: TransportName, remote: Endpoint, name?: string): Flow | undefined;
  /** The peer has proven that it receives our packets. */
  prove(flow: Flow): void;
}

/**
 * The flow for responses to a request (RFC 3261 section 18.2.2, RFC 3581): the connection on which it came, or a new
 * one to its sender if that is closed; over UDP the source address, and the source port if `rport` asks for it. A
 * Via's `maddr` is ignored: it would let anyone direct our responses at a third party.
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

/** A separate function, so that the closure retains the flow and nothing else of the request. */
function always(flow: Flow): () => Flow {
  return () => flow;
}

/** The Via with `received` and `rport`, as the receiving server must add them; undefined if it needs neither. */
export function markedVia(via: Via, source: Endpoint): Via | undefined {
  const wantsPort = via.params.has('rport');
  if (!wantsPort && via.host === source.host) return undefined;
  const params = new Map(via.params);
  params.set('received', source.host);
  if (wantsPort) params.set('rport', String(source.port));
  return { ...via, params };
}
