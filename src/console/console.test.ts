import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PatchbayError } from '../core/index.js';
import { consolePage } from './index.js';

let app: FastifyInstance;

beforeEach(async () => {
  app = fastify();
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof PatchbayError ? error.httpStatus : 500).send(),
  );
  await app.register(consolePage, {
    iceServers: (token) => {
      if (token !== 'good') throw new PatchbayError('PATCHBAY_TOKEN_INVALID', 'The token is not valid.');
      return [{ urls: ['turn:turn.example'] }];
    },
  });
});
afterEach(() => app.close());

const ask = (headers: Record<string, string>) => app.inject({ url: '/console/iceServers', headers });

it('sends the ICE servers to a page with a token, uncached', async () => {
  const response = await ask({ authorization: 'Bearer good' });
  expect(response.json()).toEqual({ iceServers: [{ urls: ['turn:turn.example'] }] });
  expect(response.headers['cache-control']).toBe('no-store');
});

it.each([{}, { authorization: 'Bearer bad' }, { authorization: 'Basic good' }])(
  'tells them to nobody else: %o',
  async (headers) => {
    expect((await ask(headers)).statusCode).toBe(401);
  },
);

it.each(['/', '/page.js', '/style.css', '/index.html', '/console/iceServers'])(
  'lets %s load and call what is its own only, and be framed by nobody',
  async (url) => {
    const { headers } = await app.inject({ url });
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/,
    );
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
  },
);
