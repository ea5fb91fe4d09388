import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync } from 'fastify';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));

export interface ConsoleOptions {
  /**
   * The `iceServers` for whoever holds this participant token.
   * @throws PatchbayError when the token is not valid
   */
  readonly iceServers: (token: string) => readonly object[];
}

/**
 * Serves the web console under `/`: a page that joins a session with a participant token, through the
 * published browser client. A page has a token and no account, so `/console/iceServers` takes the token (RFC 6750).
 */
export const consolePage: FastifyPluginAsync<ConsoleOptions> = async (app, { iceServers }) => {
  app.get('/console/iceServers', { schema: { hide: true } }, (request, reply) => {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    void reply.header('cache-control', 'no-store');
    return { iceServers: iceServers(token) };
  });
  await app.register(fastifyStatic, { root: PAGE, decorateReply: false, index: 'index.html' });
};
