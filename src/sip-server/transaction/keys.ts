import type { Essentials } from '../message/essentials.js';
import type { SipRequest } from '../message/message.js';
import { BRANCH_COOKIE } from '../message/headers.js';

/**
 * The key under which a request finds its server transaction (RFC 3261 section 17.2.3). An ACK gets the key of
 * its INVITE. Peers of RFC 2543, without the magic cookie, are told apart by the fields that they repeat.
 */
export function serverKey(request: SipRequest, essentials: Essentials): string {
  const method = request.method === 'ACK' ? 'INVITE' : request.method;
  return `${peerKey(request, essentials)}|${method}`;
}

/** The key of the INVITE that a CANCEL is for. */
export function cancelledKey(request: SipRequest, essentials: Essentials): string {
  return `${peerKey(request, essentials)}|INVITE`;
}

function peerKey(request: SipRequest, { via, callId, fromTag, cseq }: Essentials): string {
  const branch = via.params.get('branch') ?? '';
  const sentBy = `${via.host.toLowerCase()}:${via.port ?? ''}`;
  if (branch.length > BRANCH_COOKIE.length && branch.startsWith(BRANCH_COOKIE)) return `${branch}|${sentBy}`;
  return `2543|${request.uri}|${callId}|${fromTag}|${cseq.number}|${sentBy}|${branch}`;
}

/** The key under which a response finds its client transaction (RFC 3261 section 17.1.3). */
export function clientKey(essentials: Essentials): string {
  return `${essentials.via.params.get('branch') ?? ''}|${essentials.cseq.method}`;
}

/** What copies of one request that came by different ways share (RFC 3261 section 8.2.2.2). */
export function mergeKey({ callId, fromTag, cseq }: Essentials): string {
  return `${callId}|${fromTag}|${cseq.number}|${cseq.method}`;
}

/** A string, as messages hold them, that is to be kept: one cut from a message would keep it, one of pieces those. */
export function flatCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
