import { Headers } from './headers.js';
import { NO_BODY, type SipRequest, type SipResponse } from './message.js';
import { parseNameAddr } from './uri.js';

/** Reason phrases of the statuses that this server sends on its own. */
const PHRASES: ReadonlyMap<number, string> = new Map([
  [100, 'Trying'],
  [200, 'OK'],
  [400, 'Bad Request'],
  [405, 'Method Not Allowed'],
  [408, 'Request Timeout'],
  [416, 'Unsupported URI Scheme'],
  [420, 'Bad Extension'],
  [422, 'Session Interval Too Small'],
  [480, 'Temporarily Unavailable'],
  [481, 'Call/Transaction Does Not Exist'],
  [482, 'Loop Detected'],
  [483, 'Too Many Hops'],
  [487, 'Request Terminated'],
  [491, 'Request Pending'],
  [500, 'Server Internal Error'],
  [501, 'Not Implemented'],
  [503, 'Service Unavailable'],
  [504, 'Server Time-out'],
  [505, 'Version Not Supported'],
  [513, 'Message Too Large'],
]);

/** Parts of a response that are not copied from the request. */
interface ResponseParts {
  readonly reason?: string | undefined;
  /** Tag for the To header, if the request has none. */
  readonly toTag?: string | undefined;
  /** Why the request is refused, for the Reason header (RFC 3326). */
  readonly why?: string | undefined;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer;
}

/** Builds a response, with the headers copied from the request as in RFC 3261 section 8.2.6.2. */
export function buildResponse(request: SipRequest, status: number, parts: ResponseParts = {}): SipResponse {
  const headers = new Headers();
  for (const via of request.headers.all('via')) headers.add('Via', via);
  if (status > 100 && status < 300) {
    // Section 12.1.1: a response that creates a dialog returns the whole Record-Route.
    for (const route of request.headers.all('record-route')) headers.add('Record-Route', route);
  }
  for (const name of ['From', 'To', 'Call-ID', 'CSeq']) {
    const value = request.headers.get(name.toLowerCase());
    // The header may be missing: that can be why the request is refused.
    if (value !== undefined) headers.add(name, name === 'To' ? taggedTo(value, status, parts.toTag) : value);
  }
  const timestamp = request.headers.get('timestamp');
  if (status === 100 && timestamp !== undefined) headers.add('Timestamp', timestamp);
  for (const [name, value] of parts.headers ?? []) headers.add(name, value);
  if (parts.why !== undefined) headers.add('Reason', `SIP;cause=${status};text="${quotable(parts.why)}"`);
  const reason = parts.reason ?? reasonPhrase(status);
  return { kind: 'response', status, reason, headers, body: parts.body ?? NO_BODY };
}

function quotable(text: string): string {
  return text.replace(/[^ -~]|["\\]/g, '?');
}

function taggedTo(to: string, status: number, tag: string | undefined): string {
  if (tag === undefined || status === 100 || parseNameAddr(to)?.params.has('tag') === true) return to;
  return `${to};tag=${tag}`;
}

/** The reason phrase of a status. */
function reasonPhrase(status: number): string {
  return PHRASES.get(status) ?? 'Unknown';
}
