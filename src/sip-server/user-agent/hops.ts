import type { Dialog } from '../dialog/dialog.js';
import { encodeMessage, type SipRequest } from '../message/message.js';
import { parseSipUri } from '../message/uri.js';
import { locate, locateLiteral, type Target } from '../transport/locate.js';
import type { Flow } from '../transport/flow.js';
import type { Transports } from '../transport/transports.js';

/** Room left for the Via that is added when the request is sent. */
const VIA_ROOM = 120;

/** A UDP message longer than this must go over TCP (RFC 3261 section 18.1.1). */
const MAX_UDP_BYTES = 1300;

/**
 * Calls back with the flow for a request to a URI: at once when the URI holds an address, after DNS otherwise.
 * Without a way there the error says why.
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

/**
 * The flow for a request inside a dialog. A peer without proxies between is reached by the way that it came:
 * over its open connection, or at its source address when its Contact names another one, as behind NAT.
 */
export function findDialogFlow(
  transports: Transports,
  dialog: Dialog,
  request: SipRequest,
  found: (flow: Flow | Error) => void,
): void {
  const { flow } = dialog;
  if (!dialog.hasRoutes) {
    const target = parseSipUri(dialog.remoteTarget);
    const sameHost = target?.host === flow.remote.host;
    if (flow.reliable ? flow.open : !sameHost) {
      found(flow);
      return;
    }
    findFlow(transports, dialog.nextHop, request, (way) =>
      // There is no way to where its Contact leads.
      found(way instanceof Error && flow.open ? flow : way),
    );
    return;
  }
  findFlow(transports, dialog.nextHop, request, found);
}
