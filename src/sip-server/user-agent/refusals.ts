import type { Routes } from '../apps/routes.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';

/** Methods that this server understands. */
const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'REGISTER',
  'PRACK',
  'UPDATE',
  'INFO',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'MESSAGE',
  'PUBLISH',
];

/** Why a request that belongs to no call is refused. */
export const NO_CALL = 'no such call';

/** The answer to a request outside dialogs that no application takes (RFC 3261 section 8.2.1). */
export function refusalOf(
  request: SipRequest,
  toTag: string,
  routes: Routes,
  overloaded: boolean,
): SipResponse {
  const { method } = request;
  const allow = ['Allow', allowed(routes)] as const;
  if (!METHODS.includes(method))
    return buildResponse(request, 501, { toTag, why: 'method not known', headers: [allow] });
  if (overloaded)
    return buildResponse(request, 503, { toTag, why: 'too many calls', headers: [['Retry-After', '10']] });
  if (method === 'OPTIONS') {
    // Section 8.2.2.3: extensions that must be understood are not, when this server answers by itself.
    const required = request.headers.all('require').join(', ');
    if (required !== '')
      return buildResponse(request, 420, {
        toTag,
        why: 'extension not supported',
        headers: [['Unsupported', required]],
      });
    return buildResponse(request, 200, { toTag, headers: [allow, ['Accept', 'application/sdp']] });
  }
  if (method === 'BYE' || method === 'UPDATE' || method === 'PRACK') {
    return buildResponse(request, 481, { toTag, why: NO_CALL });
  }
  if (routes.methods.length > 0)
    return buildResponse(request, 405, { toTag, why: 'method not served here', headers: [allow] });
  return buildResponse(request, 503, {
    toTag,
    why: 'no application is connected',
    headers: [['Retry-After', '5']],
  });
}

function allowed(routes: Routes): string {
  const always = ['ACK', 'BYE', 'CANCEL', 'OPTIONS'];
  return [...new Set([...routes.methods, ...always])].join(', ');
}
