import { resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostNames } from '../../shared/index.js';
import { encodeMessage, type SipRequest } from '../message/message.js';
import { parseSipUri, type SipUri } from '../message/uri.js';
import type { Endpoint, Flow, TransportName } from './flow.js';
import type { Transports } from './transports.js';

/** Where to send a request for a URI. */
interface Target extends Endpoint {
  readonly transport: TransportName;
  /** The host of the URI: a TLS peer needs a certificate for it. */
  readonly name: string;
  /** Whether the URI chose the transport, so that we must not change it. */
  readonly explicit: boolean;
}

/**
 * Finds the next hop of a SIP URI (RFC 3263, without NAPTR): by `maddr`, `transport`, an SRV record if the URI has no
 * port, otherwise an address record. Rejects when the name does not resolve.
 */
async function locate(text: string): Promise<Target> {
  const literal = locateLiteral(text);
  if (literal) return literal;
  const uri = parseSipUri(text);
  if (!uri) throw new Error('not a SIP URI');
  const transport = transportOf(uri);
  const host = uri.params.get('maddr') ?? uri.host;
  const explicit = uri.params.has('transport') || uri.scheme === 'sips';
  const record = uri.port === undefined ? await findSrv(host, transport) : undefined;
  const [address] = await hostNames.find(record?.name ?? host);
  const port = uri.port ?? record?.port ?? defaultPort(transport);
  return { transport, explicit, name: uri.host, host: address!.address, port };
}

/** The next hop of a URI whose host is an address, without DNS. Undefined for names. */
function locateLiteral(text: string): Target | undefined {
  const uri = parseSipUri(text);
  const host = uri && (uri.params.get('maddr') ?? uri.host);
  if (!uri || host === undefined || isIP(host) === 0) return undefined;
  const transport = transportOf(uri);
  const explicit = uri.params.has('transport') || uri.scheme === 'sips';
  return { transport, explicit, name: uri.host, host, port: uri.port ?? defaultPort(transport) };
}

function transportOf(uri: SipUri): TransportName {
  if (uri.scheme === 'sips') return 'tls';
  const named = uri.params.get('transport')?.toLowerCase();
  return named === 'tcp' || named === 'tls' ? named : 'udp';
}

function defaultPort(transport: TransportName): number {
  return transport === 'tls' ? 5061 : 5060;
}

async function findSrv(
  host: string,
  transport: TransportName,
): Promise<{ name: string; port: number } | undefined> {
  const service = transport === 'tls' ? `_sips._tcp.${host}` : `_sip._${transport}.${host}`;
  try {
    const records = await resolveSrv(service);
    const best = records.sort((a, b) => a.priority - b.priority || b.weight - a.weight)[0];
    return best && { name: best.name, port: best.port };
  } catch {
    // Without an SRV record or an answer, RFC 3263 section 4.2 continues with address records.
    return undefined;
  }
}

/** Room for the Via that is added when the request is sent. */
const VIA_ROOM = 120;

/** Longer requests must go over TCP instead of UDP (RFC 3261 section 18.1.1). */
const MAX_UDP_BYTES = 1300;

/**
 * Calls back with the flow for a request to a URI: at once if the URI holds an address, otherwise after DNS. Calls
 * back with an Error if there is none.
 */
export function findFlow(
  transports: Transports,
  uri: string,
  request: SipRequest,
  found: (flow: Flow | Error) => void,
): void {
  const literal = locateLiteral(uri);
  if (literal) {
    found(flowFor(transports, literal, request));
    return;
  }
  locate(uri).then(
    (target) => found(flowFor(transports, target, request)),
    (error: unknown) => found(error instanceof Error ? error : new Error(String(error))),
  );
}

function flowFor(transports: Transports, target: Target, request: SipRequest): Flow | Error {
  if (target.port < 1) return new Error('port 0');
  if (
    target.transport === 'udp' &&
    encodeMessage(request).length + VIA_ROOM > MAX_UDP_BYTES &&
    !target.explicit
  ) {
    const stream = transports.advertised('tcp', target.host) && transports.flowTo('tcp', target);
    if (stream) return stream;
  }
  return (
    transports.flowTo(target.transport, target, target.name) ??
    new Error('requested protocol/transport not available')
  );
}
