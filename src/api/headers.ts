import type { FastifyReply } from 'fastify';

/** Answers are data for programs: never kept, never taken for a page. */
const DATA = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/** Puts on the headers of every data answer that a browser could be led to: it loads nothing, and nothing frames it. */
export function putHeaders(reply: FastifyReply): void {
  putHeadersOfWrite(reply);
  reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}

/**
 * Puts on those of a write that went well. No form and no link gets so far: bodies must be JSON (see `acceptBodies`),
 * so there is no page to have a policy.
 */
export function putHeadersOfWrite(reply: FastifyReply): void {
  reply.headers(DATA);
  reply.header('x-request-id', reply.request.id);
}
