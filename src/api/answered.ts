import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from './instance.js';

/**
 * Called for every request once its answer is on its way.
 * @param route the pattern of its path; absent when there is none for it
 */
export type OnAnswered = (request: FastifyRequest, reply: FastifyReply, route: string | undefined) => void;

/** Calls each after every answer. The framework makes a whole object up whenever it is asked for the route. */
export function whenAnswered(api: Api, listeners: readonly OnAnswered[]): void {
  api.addHook('onResponse', (request, reply, next) => {
    const { url: route } = request.routeOptions;
    for (const listener of listeners) listener(request, reply, route);
    next();
  });
}
