import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from './instance.js';

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
