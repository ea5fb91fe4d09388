import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';

/** The answer of an operation that has nothing to tell but that it is done, and on disk. */
export const DoneSchema = Type.Null({ description: 'Done.' });

/** Makes the answer {@link DoneSchema}; it goes out when the handler's promise is resolved, with nothing. */
export function done(reply: Pick<FastifyReply, 'code'>): void {
  reply.code(204);
}
