import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { pathOf } from '../shared/index.js';
import { type AdmissionCore, admissionOf } from './admission.js';

const PAGE = pathOf('console/page/');

/** The page may load and call only the gateway, and not be framed. Its URL may hold a token, so no referrer. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

interface ConsoleOptions {
  readonly core: AdmissionCore;
  /** The `iceServers` for a participant. */
  readonly iceServers: (participantId: string) => readonly object[];
}

/** The token that authorises a request (RFC 6750 section 2.1); empty when it has none. */
const tokenOf = (request: FastifyRequest): string =>
  /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';

/**
 * Serves the web console under `/`. Its page that joins a session has no account: what that asks is authorised by the
 * participant's token.
 */
export const consolePage: FastifyPluginAsync<ConsoleOptions> = async (app, { core, iceServers }) => {
  app.addHook('onRequest', (_request, reply, next) => {
    reply.headers(HEADERS);
    next();
  });
  app.get('/console/iceServers', { schema: { hide: true } }, (request, reply) => {
    void reply.header('cache-control', 'no-store');
    return { iceServers: iceServers(core.authenticate(tokenOf(request)).id) };
  });
  app.get('/console/participant', { schema: { hide: true } }, (request, reply) => {
    void reply.header('cache-control', 'no-store');
    return admissionOf(core, tokenOf(request));
  });
  await app.register(fastifyStatic, {
    root: PAGE,
    decorateReply: false,
    index: ['index.html'],
    preCompressed: true,
  });
};
