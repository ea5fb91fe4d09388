import type { SipMessage } from '../message/message.js';
import type { Via } from '../message/via.js';
import type { Endpoint, Flow, TransportName } from './flow.js';

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
