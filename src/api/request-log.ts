import { type Logger, symbols } from 'pino';
import type { OnAnswered } from './answered.js';
import { accountOf } from './authentication.js';

/**
 * Says of every request what was asked and how it ended; never its query, headers or body: they hold secrets.
 * Probes and pages, which come all the time, are told of at debug level.
 */
export function logRequests(parent: Logger): OnAnswered {
  const log = parent.child({});
  // The library's own way looks at every character of every key and value, a tenth of what a request takes.
  Object.assign(log, { [symbols.asJsonSym]: requestLine });
  return (request, reply, route) => {
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
  };
}

/** One line of the log; `time` is a JSON property with the comma before it, as the bindings are. */
function requestLine(
  this: { readonly [symbols.chindingsSym]: string },
  fields: object,
  message: string,
  level: number,
  time: string,
): string {
  const properties = JSON.stringify(fields).slice(1, -1);
  return `{"level":${level}${time}${this[symbols.chindingsSym]},${properties},"msg":"${message}"}\n`;
}
