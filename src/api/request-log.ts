import type { Logger } from 'pino';
import type { ClientAddress } from '../shared/index.js';
import type { OnAnswered } from './answered.js';
import { accountNamed } from './authentication.js';

/**
 * Logs each request and how it ended; never its query, headers or body, which hold secrets.
 * Health checks and static pages, which are asked for all the time, are logged at debug level.
 */
export function logRequests(log: Logger, clientAddress: ClientAddress): OnAnswered {
  return (request, reply, { route, ms }) => {
    const fields = {
      requestId: request.id,
      account: accountNamed(request) || undefined,
      address: clientAddress(request),
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      ms: Math.round(ms * 10) / 10,
    };
    if (route !== undefined && !route.startsWith('/v1/')) log.debug(fields, 'Request');
    else if (reply.statusCode >= 500) log.error(fields, 'Request failed');
    else log.info(fields, 'Request');
  };
}
