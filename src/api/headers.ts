import type { FastifyReply } from 'fastify';

/** Answers are data for programs: never kept, never taken for a page, which would load nothing and be framed by none. */
const DATA = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Puts on the headers of every data answer that a browser could be led to. */
export function putHeaders(reply: FastifyReply): void {
  reply.headers(DATA);
  putRequestId(reply);
}

/**
 * Puts on those of a write that went well. No form, link or script gets so far: bodies must be JSON (see
 * `acceptBodies`), so there is nothing to be taken for a page. Answers to PUT and DELETE are never kept by anyone
 * (RFC 9110 sections 9.3.4 and 9.3.5); those to POST hold tokens, and say so themselves.
 */
export function putHeadersOfWrite(reply: FastifyReply): void {
  if (reply.request.method === 'POST') reply.header('cache-control', DATA['cache-control']);
  putRequestId(reply);
}

function putRequestId(reply: FastifyReply): void {
  reply.header('x-request-id', reply.request.id);
}
