import { randomUUID } from 'node:crypto';
import { type Logger, symbols } from 'pino';
import type { ClientAddress } from '../shared/index.js';
import type { OnAnswered } from './answered.js';
import { accountNamed } from './authentication.js';

interface RequestFields {
  readonly requestId: string;
  /** That the path names; empty outside of the accounts. */
  readonly account: string;
  /** Whose request it was. */
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
}

/**
 * Says of every request what was asked and how it ended; never its query, headers or body: they hold secrets.
 * Probes and pages, which come all the time, are told of at debug level.
 */
export function logRequests(parent: Logger, clientAddress: ClientAddress): OnAnswered {
  const log = parent.child({});
  // The library's own way looks at every character of every key and value, a tenth of what a request takes.
  Object.assign(log, { [symbols.asJsonSym]: requestLine });
  return (request, reply, { route, ms }) => {
    const fields: RequestFields = {
      requestId: request.id,
      account: accountNamed(request),
      address: clientAddress(request),
      method: request.method,
      path: pathOf(request.url),
      status: reply.statusCode,
      ms: Math.round(ms * 10) / 10,
    };
    if (route !== undefined && !route.startsWith('/v1/')) log.debug(fields, 'Request');
    else if (reply.statusCode >= 500) log.error(fields, 'Request failed');
    else log.info(fields, 'Request');
  };
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/**
 * One line of the log; `time` is a JSON property with the comma before it, as the bindings are. Only what comes from
 * outside can hold what JSON must escape: of a method the HTTP parser takes none but those it knows.
 */
function requestLine(
  this: { readonly [symbols.chindingsSym]: string },
  { requestId, account, address, method, path, status, ms }: RequestFields,
  message: string,
  level: number,
  time: string,
): string {
  const owner = account === '' ? '' : `,"account":${JSON.stringify(account)}`;
  return (
    `{"level":${level}${time}${this[symbols.chindingsSym]},"requestId":"${requestId}"${owner},"address":"${address}",` +
    `"method":"${method}",` +
    `"path":${JSON.stringify(path)},"status":${status},"ms":${ms},"msg":"${message}"}\n`
  );
}

/**
 * Makes the ids of requests: UUIDs of our own kind (RFC 9562 section 5.8), random once for each process, counting in
 * their last 48 bits. A wholly random one for each request would take more than its routing.
 */
export function requestIds(): () => string {
  const start = `${randomUUID().slice(0, 14)}8${randomUUID().slice(15, 24)}`;
  let made = 0;
  return () => start + (++made).toString(16).padStart(12, '0');
}
