import type { FastifyReply } from 'fastify';

/** Answers are data for programs: never kept, never framed, never taken for a page. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

/** Puts on the headers of every data answer. */
export function putHeaders(reply: FastifyReply): void {
  reply.headers(HEADERS);
  reply.header('x-request-id', reply.request.id);
}
