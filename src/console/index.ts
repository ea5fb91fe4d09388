import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync } from 'fastify';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));

/**
 * Serves the web console under `/`: a page that joins a session with a participant token, through the
 * published browser client.
 */
export const consolePage: FastifyPluginAsync = async (app) => {
  await app.register(fastifyStatic, { root: PAGE, decorateReply: false, index: 'index.html' });
};
