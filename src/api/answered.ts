import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Api } from './instance.js';
import type { ClientAddress } from '../shared/index.js';
import { accountNamed } from './authentication.js';

/** How a request was answered. */
export interface Answered {
  /** The pattern of its path; absent when there is none for it. */
  readonly route: string | undefined;
  /** How long it took, in ms. */
  readonly ms: number;
}

/** Called for every request once its answer is on its way. */
export type OnAnswered = (request: FastifyRequest, reply: FastifyReply, answered: Answered) => void;

/** Calls each after every answer. The framework makes a whole object up whenever it is asked for the route. */
export function whenAnswered(api: Api, listeners: readonly OnAnswered[]): void {
  api.addHook('onResponse', (request, reply, next) => {
    const answered = { route: request.routeOptions.url, ms: reply.elapsedTime };
    for (const listener of listeners) listener(request, reply, answered);
    next();
  });
}

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
