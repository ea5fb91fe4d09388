import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Core, PatchbayError } from '../core/index.js';
import { ACCOUNT, coreForTests, FakeDevice } from '../core/testing/index.js';
import { consolePage } from './index.js';

let app: FastifyInstance;
let core: Core;

beforeEach(async () => {
  ({ core } = coreForTests());
  app = fastify();
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof PatchbayError ? error.httpStatus : 500).send(),
  );
  await app.register(consolePage, { core, iceServers: (id) => [{ urls: [`turn:${id}.example`] }] });
});
afterEach(() => app.close());

const ask = (url: string, authorization?: string) =>
  app.inject({ url, headers: authorization === undefined ? {} : { authorization } });

/** A participant with the kind of device that it has connected, in a session or not. */
function person(tag: string, session?: string, kind?: string) {
  const { participant, token } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'], tag });
  if (session !== undefined) core.addToSession(ACCOUNT, session, participant.id, { sessionId: session });
  if (kind !== undefined) {
    const connection = core.connect(participant.id, new FakeDevice(`${tag}-device`, kind), {
      replace: false,
    });
    connection.publish([{ streamId: tag, mediaTypes: ['audio'] }]);
  }
  return { id: participant.id, token };
}

describe('a page with a token', () => {
  it('gets the ICE servers of its participant, uncached', async () => {
    const { id, token } = person('caller');
    const response = await ask('/console/iceServers', `Bearer ${token}`);
    expect(response.json()).toEqual({ iceServers: [{ urls: [`turn:${id}.example`] }] });
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it.each(['/console/iceServers', '/console/participant'])('is the only one that %s tells', async (url) => {
    const { token } = person('caller');
    for (const authorization of [undefined, 'Bearer bad', `Basic ${token}`, `Bearer ${token}x`])
      expect((await ask(url, authorization)).statusCode, authorization).toBe(401);
  });

  it('learns that it is in no session yet', async () => {
    const { id, token } = person('caller', undefined, 'browser');
    expect((await ask('/console/participant', `Bearer ${token}`)).json()).toEqual({
      participant: { id, tag: 'caller', publishes: ['audio'] },
      heard: [],
      digitsTo: [],
    });
  });

  it('learns whom it hears and who gets its keys, and nothing of those who listen in silence', async () => {
    const session = core.createSession(ACCOUNT, { tag: 'support' }).id;
    const caller = person('caller', session, 'phone');
    const agent = person('agent', session, 'browser');
    const supervisor = person('supervisor', session, 'program');
    const hearOnly = (who: string, ...ids: string[]): void =>
      core.setSubscriptions(ACCOUNT, session, who, {
        participants: ids.map((participantId) => ({ participantId })),
      });
    hearOnly(agent.id, caller.id);
    hearOnly(caller.id, agent.id);
    const seen = async (token: string) =>
      (await ask('/console/participant', `Bearer ${token}`)).json<unknown>();
    expect(await seen(agent.token)).toEqual({
      participant: { id: agent.id, tag: 'agent', publishes: ['audio'] },
      session: { tag: 'support' },
      heard: [{ id: caller.id, tag: 'caller', kind: 'phone' }],
      digitsTo: [caller.id],
    });
    expect(await seen(caller.token)).toMatchObject({ heard: [{ tag: 'agent' }], digitsTo: [] });
    expect(await seen(supervisor.token)).toMatchObject({ heard: [{ tag: 'caller' }, { tag: 'agent' }] });
  });
});

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
