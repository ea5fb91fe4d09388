import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync } from 'fastify';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));

/** The page may load and call only the gateway, and not be framed. Its URL may hold a token, so no referrer. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

interface ConsoleOptions {
  /**
   * The `iceServers` for a page with this participant token.
   * @throws PatchbayError when the token is not valid
   */
  readonly iceServers: (token: string) => readonly object[];
}

/**
 * Serves the web console under `/`: a page that joins a session with a participant token, by the published browser
 * client. It has no account, so `/console/iceServers` is authorised by the token (RFC 6750).
 */
export const consolePage: FastifyPluginAsync<ConsoleOptions> = async (app, { iceServers }) => {
  app.addHook('onRequest', (_request, reply, next) => {
    reply.headers(HEADERS);
    next();
  });
  app.get('/console/iceServers', { schema: { hide: true } }, (request, reply) => {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    void reply.header('cache-control', 'no-store');
    return { iceServers: iceServers(token) };
  });
  await app.register(fastifyStatic, { root: PAGE, decorateReply: false, index: 'index.html' });
};
