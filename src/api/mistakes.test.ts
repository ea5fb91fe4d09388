import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, NO_USAGE, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

const REFUSED = 'http://169.254.169.254/';
let gateway: TestGateway;

beforeAll(async () => {
  const callbackRefusal = (url: string) =>
    Promise.resolve(url === REFUSED ? 'The gateway must not connect to 169.254.169.254.' : undefined);
  gateway = await startApi({ usage: { ...NO_USAGE, callbackRefusal } });
});
afterAll(() => gateway.stop());

interface Answer {
  readonly status: number;
  readonly allow: string | null;
  readonly body: {
    readonly error: string;
    readonly message: string;
    readonly reason: string;
    readonly warnings?: string[];
  };
}

async function ask(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await gateway.ask(path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    allow: response.headers.get('allow'),
    body: (await response.json()) as Answer['body'],
  };
}

describe('a mistake in a request is named', () => {
  it.each<[string, string, object | undefined, RegExp]>([
    [
      'POST',
      '/participants',
      { publishPermission: ['AUDIO'] },
      /^body\/publishPermission is not a property; did you mean publishPermissions\?$/,
    ],
    [
      'POST',
      '/participants',
      { callbackURL: 'http://127.0.0.1/' },
      /callbackURL is not a property; did you mean callbackUrl\?/,
    ],
    ['POST', '/participants', { Tag: 'x' }, /did you mean tag\?/],
    [
      'POST',
      '/participants',
      { callbackUrl: 'app.example' },
      /^body\/callbackUrl must match format "web-url", for example "https:\/\/app\.example\/webrtc-events"$/,
    ],
    [
      'POST',
      '/participants',
      { callbackUrl: REFUSED },
      /^body\/callbackUrl: The gateway must not connect to 169\.254\.169\.254\.$/,
    ],
    [
      'POST',
      '/participants',
      { publishPermissions: ['SOUND'] },
      /must be equal to one of the allowed values: AUDIO, VIDEO/,
    ],
    ['POST', '/participants', { events: ['holds'] }, /allowed values: hold/],
    ['POST', '/participants', { deviceApiVersion: 'V9' }, /allowed values: V3, V2/],
    ['POST', '/sessions', { tags: 'x' }, /^body\/tags is not a property; did you mean tag\?$/],
    ['PUT', '/sessions/s/participants/p', { sessionID: 's' }, /did you mean sessionId\?/],
    [
      'PUT',
      '/sessions/s/participants/p/subscriptions',
      { participants: [{ participantId: 'a' }, { participantID: 'b' }] },
      /^body\/participants\/1\/participantID is not a property; did you mean participantId\?$/,
    ],
    [
      'PUT',
      '/sessions/s/participants/p/subscriptions',
      { participants: [{ participantId: 'a', streamAlias: [] }] },
      /streamAlias is not a property; did you mean streamAliases\?/,
    ],
    [
      'GET',
      '/participants?limits=3',
      undefined,
      /^querystring\/limits is not a property; did you mean limit\?$/,
    ],
    [
      'GET',
      '/usage?from=yesterday',
      undefined,
      /^querystring\/from must match format "iso-8601", for example "2026-01-31"$/,
    ],
    ['GET', '/participants?cursor=x', undefined, /cursor must match format "uuid"/],
  ])('%s %s %j', async (method, path, body, words) => {
    const answer = await ask(method, path, body);
    expect(answer.body.error).toMatch(words);
    expect(answer.status).toBe(400);
    expect(answer.body.reason).toBe('PATCHBAY_BAD_REQUEST');
  });

  it('but a property that is like none of ours is ignored', async () => {
    const answer = await ask('POST', '/participants', { publishPermissions: ['AUDIO'], colour: 'red' });
    expect(answer.status).toBe(200);
  });

  it.each([
    ['PATCH', '/sessions', 'GET, HEAD, POST'],
    ['POST', '/participants/p', 'DELETE, GET, HEAD, PATCH'],
    ['GET', '/participants/p/device/dtmf', 'POST'],
  ])('%s %s is 405 with the methods that there are', async (method, path, allowed) => {
    const answer = await ask(method, path);
    expect(answer.status).toBe(405);
    expect(answer.allow?.split(', ').sort().join(', ')).toBe(allowed);
    expect(answer.body).toMatchObject({ reason: 'PATCHBAY_METHOD_NOT_ALLOWED' });
  });

  it.each([
    ['are missing', {}],
    ['is wrong', { authorization: `Basic ${btoa('nobody:nothing')}` }],
    [
      'of another account',
      { authorization: `Basic ${btoa(`${OTHER_ACCOUNT.user}:${OTHER_ACCOUNT.password}`)}` },
    ],
  ])('401 says that credentials %s, and the one word that old clients look for', async (words, headers) => {
    const response = await fetch(`${gateway.url}/v1/accounts/${ACCOUNT.id}/sessions`, { headers });
    expect(response.status).toBe(401);
    const body = (await response.json()) as Answer['body'];
    expect(body.error).toContain(words);
    expect(body.message).toBe('Unauthorized');
  });

  it('a participant that may publish nothing is created with a warning', async () => {
    const { body } = await ask('POST', '/participants', { tag: 'x' });
    expect(body.warnings).toEqual([expect.stringContaining('may publish nothing')]);
    const { body: other } = await ask('POST', '/participants', { publishPermissions: ['AUDIO'] });
    expect(other.warnings).toBeUndefined();
  });
});
