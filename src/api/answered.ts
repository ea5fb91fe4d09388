import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Api } from './instance.js';
import type { ClientAddress } from '../shared/index.js';
import { idsNamed } from './authentication.js';

export interface Answered {
  /** The pattern of its path; undefined if there is no such route. */
  readonly route: string | undefined;
  /** Time until the response, in ms. */
  readonly ms: number;
}

/** Called for every request once its response was sent. */
export type OnAnswered = (request: FastifyRequest, reply: FastifyReply, answered: Answered) => void;

/** Calls all listeners after every response. Reads the route once for all: fastify builds an object at each access. */
export function whenAnswered(api: Api, listeners: readonly OnAnswered[]): void {
  api.addHook('onResponse', (request, reply, next) => {
    const answered = { route: request.routeOptions.url, ms: reply.elapsedTime };
    for (const listener of listeners) listener(request, reply, answered);
    next();
  });
}

/**
 * Logs each request and its status, but never its query, headers or body, which may hold secrets.
 * Health checks and static pages, which are frequent, are logged at debug level.
 */
export function logRequests(log: Logger, clientAddress: ClientAddress): OnAnswered {
  return (request, reply, { route, ms }) => {
    const fields = {
      requestId: request.id,
      ...idsNamed(request),
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
