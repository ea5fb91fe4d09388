import type { FastifyReply } from 'fastify';

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
