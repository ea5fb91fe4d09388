import type { Logger } from 'pino';
import { accountOf } from './authentication.js';
import type { Api } from './instance.js';

/** Says of every request what was asked and how it ended; never its query, headers or body: they hold secrets. */
export function logRequests(api: Api, log: Logger): void {
  api.addHook('onResponse', (request, reply, done) => {
    const fields = {
      requestId: request.id,
      account: accountOf(request) || undefined,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    };
    if (reply.statusCode >= 500) log.error(fields, 'Request failed');
    else log.info(fields, 'Request');
    done();
  });
}
