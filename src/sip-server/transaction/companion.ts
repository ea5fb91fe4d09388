import { Headers } from '../message/headers.js';
import { NO_BODY, type SipRequest } from '../message/message.js';

/**
 * The ACK or CANCEL that belongs to an INVITE of ours, without Via (RFC 3261 sections 9.1 and 17.1.1.3). `to` is the
 * To header: the ACK takes it from the response.
 */
export function companionOf(invite: SipRequest, method: 'ACK' | 'CANCEL', to: string): SipRequest {
  const headers = new Headers();
  for (const route of invite.headers.all('route')) headers.add('Route', route);
  headers.add('Max-Forwards', '70');
  headers.add('From', invite.headers.get('from') ?? '');
  headers.add('To', to);
  headers.add('Call-ID', invite.headers.get('call-id') ?? '');
  headers.add('CSeq', `${Number.parseInt(invite.headers.get('cseq') ?? '', 10)} ${method}`);
  return { kind: 'request', method, uri: invite.uri, headers, body: NO_BODY };
}
