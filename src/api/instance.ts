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

/** Path parameters. Ids are opaque: an unknown one is 404, whatever its form. */
export const AccountPath = Type.Object({ accountId });
export const SessionPath = Type.Object({ accountId, sessionId });
export const ParticipantPath = Type.Object({ accountId, participantId });
export const TestCallPath = Type.Object({ accountId, testCallId: Type.String() });
export const MemberPath = Type.Object({ accountId, sessionId, participantId });

/** The response of an operation without a result; the change is on disk. */
export const DoneSchema = Type.Null({ description: 'Done.' });

/** The server that routes are added to: bodies and responses are typed by their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Sets the status of {@link DoneSchema}; the handler then resolves without a value. */
export function done(reply: Pick<FastifyReply, 'code'>): void {
  reply.code(204);
}

/** Responses are data, not pages: no caching, no sniffing, no framing, no sub-resources. */
const DATA = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Sets the headers of every response that carries data. */
export function putHeaders(reply: FastifyReply): void {
  reply.headers(DATA);
  reply.header('x-request-id', reply.request.id);
}
