import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';

const accountId = Type.String({ description: 'The account, as configured.', examples: ['9900000'] });

const sessionId = Type.String();

const participantId = Type.String();

/** Path parameters. Ids are opaque: one that is not ours is simply not found. */
export const AccountPath = Type.Object({ accountId });

export const SessionPath = Type.Object({ accountId, sessionId });

export const ParticipantPath = Type.Object({ accountId, participantId });

export const MemberPath = Type.Object({ accountId, sessionId, participantId });

/** The answer of an operation that has nothing to tell but that it is done, and on disk. */
export const DoneSchema = Type.Null({ description: 'Done.' });

/** The server as routes are added to it: bodies and answers are typed by their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Makes the answer {@link DoneSchema}; it goes out when the handler's promise is resolved, with nothing. */
export function done(reply: Pick<FastifyReply, 'code'>): void {
  reply.code(204);
}
