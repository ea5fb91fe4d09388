import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';

/** The answer of an operation that has nothing to tell but that it is done, and on disk. */
export const DoneSchema = Type.Null({ description: 'Done.' });

/** Answers with {@link DoneSchema}. */
export function done(reply: Pick<FastifyReply, 'code'>): FastifyReply {
  return reply.code(204).send();
}
