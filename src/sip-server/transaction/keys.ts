import type { Essentials } from '../message/essentials.js';
import type { SipRequest } from '../message/message.js';
import { BRANCH_COOKIE } from '../message/headers.js';

/**
 * The key of a request's server transaction (RFC 3261 section 17.2.3). An ACK has the key of its INVITE. Branches
 * without the magic cookie (RFC 2543) are completed by other fields of the request.
 */
export function serverKey(request: SipRequest, essentials: Essentials): string {
  const method = request.method === 'ACK' ? 'INVITE' : request.method;
  return `${peerKey(request, essentials)}|${method}`;
}

/** The key of the INVITE that a CANCEL refers to. */
export function cancelledKey(request: SipRequest, essentials: Essentials): string {
  return `${peerKey(request, essentials)}|INVITE`;
}

function peerKey(request: SipRequest, { via, callId, fromTag, cseq }: Essentials): string {
  const branch = via.params.get('branch') ?? '';
  const sentBy = `${via.host.toLowerCase()}:${via.port ?? ''}`;
  if (branch.length > BRANCH_COOKIE.length && branch.startsWith(BRANCH_COOKIE)) return `${branch}|${sentBy}`;
  return `2543|${request.uri}|${callId}|${fromTag}|${cseq.number}|${sentBy}|${branch}`;
}

/** The key of a response's client transaction (RFC 3261 section 17.1.3). */
export function clientKey(essentials: Essentials): string {
  return `${essentials.via.params.get('branch') ?? ''}|${essentials.cseq.method}`;
}

/** The same for copies of one request that arrive on different paths (RFC 3261 section 8.2.2.2). */
export function mergeKey({ callId, fromTag, cseq }: Essentials): string {
  return `${callId}|${fromTag}|${cseq.number}|${cseq.method}`;
}

/** Flattens a sliced or concatenated string, so that keeping it does not retain the whole message. */
export function flatCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
