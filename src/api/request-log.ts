import type { Logger } from 'pino';
import { accountOf } from './authentication.js';
import type { Api } from './instance.js';

/**
 * Says of every request what was asked and how it ended; never its query, headers or body: they hold secrets.
 * Probes and pages, which come all the time, are told of at debug level.
 */
export function logRequests(api: Api, log: Logger): void {
  api.addHook('onResponse', (request, reply, done) => {
    const { url: route } = request.routeOptions;
    const fields = {
      requestId: request.id,
      account: accountOf(request) || undefined,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    };
    if (route !== undefined && !route.startsWith('/v1/')) log.debug(fields, 'Request');
    else if (reply.statusCode >= 500) log.error(fields, 'Request failed');
    else log.info(fields, 'Request');
    done();
  });
}
