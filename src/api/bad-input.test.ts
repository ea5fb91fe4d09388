import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerAndReset } from '../shared/testing/stubborn-peer.js';
import { ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi({ bodyLimit: 1000 });
});
afterAll(() => gateway.stop());

const json = { 'content-type': 'application/json' };
const post = (path: string, body: string, headers: Record<string, string> = json) =>
  gateway.ask(path, { method: 'POST', body, headers });

const nothingWasMade = () => {
  expect(gateway.core.counts()).toMatchObject({ sessions: 0, participants: 0 });
};

interface ErrorBody {
  error: string;
  message: string;
  code: number;
  reason: string;
  requestId: string;
}

/** Checks that an error has the common form. @returns its body */
async function refusal(response: Response, status: number): Promise<ErrorBody> {
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  const body = (await response.json()) as ErrorBody;
  expect(Object.keys(body).sort()).toEqual(['code', 'error', 'message', 'reason', 'requestId']);
  expect(body.code).toBe(status);
  expect(body.message).toBe(status === 401 ? 'Unauthorized' : body.error);
  expect(response.headers.get('x-request-id')).toBe(body.requestId);
  return body;
}

describe('bodies', () => {
  it.each([
    ['truncated JSON', '{"tag":'],
    ['no JSON', 'tag=standup'],
    ['a prototype', '{"__proto__":{"tag":"x"}}'],
    ['a string', '"tag"'],
    ['an array', '[]'],
    ['a number as tag', '{"tag":1}'],
    ['a boolean as tag', '{"tag":true}'],
    ['an object as tag', '{"tag":{}}'],
    ['a null byte in the tag', '{"tag":"a\\u0000b"}'],
    ['half a surrogate pair in the tag', '{"tag":"\\ud83d"}'],
  ])('are refused with 400 when they are %s', async (_what, body) => {
    const { reason } = await refusal(await post('/sessions', body), 400);
    expect(reason).toBe('PATCHBAY_BAD_REQUEST');
    nothingWasMade();
  });

  it.each([
    ['publishPermissions', '"AUDIO"'],
    ['publishPermissions', '["AUDIO","audio"]'],
    ['publishPermissions', '["SMELL"]'],
    ['publishPermissions', '[null]'],
    ['events', '["holds"]'],
    ['events', '["hold","HOLD"]'],
    ['events', '["hold","hold"]'],
    ['events', '"hold"'],
    ['deviceApiVersion', '"V4"'],
    ['deviceApiVersion', '3'],
    ['callbackUrl', '"not a url"'],
    ['callbackUrl', '"file:///etc/passwd"'],
    ['callbackUrl', '"javascript:alert(1)"'],
    ['callbackUrl', '5'],
  ])('name the property that is wrong: %s %s', async (property, value) => {
    const { error } = await refusal(await post('/participants', `{"${property}":${value}}`), 400);
    expect(error).toContain(`body/${property}`);
    nothingWasMade();
  });

  it.each([
    'https://a..b/',
    'https://./',
    'https://-app.example/',
    'https://app,example/',
    `https://${'a'.repeat(64)}.example/`,
    `https://${'a.'.repeat(127)}example/`,
  ])('are refused with 400 when the callbackUrl has an invalid host: %s', async (callbackUrl) => {
    const { error, reason } = await refusal(
      await post('/participants', JSON.stringify({ callbackUrl })),
      400,
    );
    expect(reason).toBe('PATCHBAY_BAD_REQUEST');
    expect(error).toContain('host of callbackUrl');
    nothingWasMade();
  });

  it('get an error that names the allowed words', async () => {
    const { error } = await refusal(await post('/participants', '{"publishPermissions":["SMELL"]}'), 400);
    expect(error).toContain('AUDIO, VIDEO');
  });

  it('that are too large are refused with 413', async () => {
    const { reason } = await refusal(await post('/sessions', `{"tag":"${'x'.repeat(1000)}"}`), 413);
    expect(reason).toBe('PATCHBAY_PAYLOAD_TOO_LARGE');
    nothingWasMade();
  });

  it('of another type than JSON are refused with 415, also when their content is JSON', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'not a type']) {
      const { reason } = await refusal(await post('/sessions', '{"tag":"x"}', { 'content-type': type }), 415);
      expect(reason).toBe('PATCHBAY_UNSUPPORTED_MEDIA_TYPE');
    }
    nothingWasMade();
  });
});

describe('queries', () => {
  it.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=',
    'limit=1.5',
    'cursor=%00',
    'cursor=nonsense',
    'tag=a&tag=b',
  ])('are refused with 400: %s', async (query) => {
    for (const path of ['/sessions', '/participants']) {
      const { error } = await refusal(await gateway.ask(`${path}?${query}`), 400);
      expect(error).toContain('query');
    }
  });
});

describe('paths', () => {
  it.each(['%00', 'a%2Fb', '..%2f..', '%F0%9F%98%80', '__proto__', 'constructor', 'x'.repeat(5000), "'--"])(
    'with the odd id %s are not found',
    async (id) => {
      for (const path of [
        `/sessions/${id}`,
        `/sessions/${id}/participants`,
        `/participants/${id}`,
        `/participants/${id}/device`,
      ]) {
        const { reason } = await refusal(await gateway.ask(path), 404);
        expect(reason).toMatch(/^PATCHBAY_(SESSION|PARTICIPANT)_NOT_FOUND$/);
      }
    },
  );

  it('of unknown accounts are unauthorized', async () => {
    for (const account of ['%00', '__proto__', 'constructor', '9900000%20', 'x'.repeat(5000)]) {
      const response = await fetch(`${gateway.url}/v1/accounts/${account}/sessions`);
      await refusal(response, 401);
    }
  });

  it('that lead nowhere are not found', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v1/accounts/9900000',
      '/v2/accounts/9900000/sessions',
      '/favicon.ico',
    ]) {
      const { reason } = await refusal(await fetch(gateway.url + path), 404);
      expect(reason).toBe('PATCHBAY_NOT_FOUND');
    }
    await refusal(await gateway.ask('/sessions', { method: 'PATCH' }), 405);
  });

  it('that are malformed are refused with 400', async () => {
    await refusal(await gateway.ask('/sessions/%zz'), 400);
  });

  it('may have superfluous slashes', async () => {
    const { url } = gateway;
    const headers = {
      authorization: `Basic ${Buffer.from(`${ACCOUNT.user}:${ACCOUNT.password}`).toString('base64')}`,
    };
    expect((await fetch(`${url}/v1//accounts/${ACCOUNT.id}/sessions/`, { headers })).status).toBe(200);
  });
});

describe('what is not HTTP', () => {
  it.each([
    ['garbage', 'This is not HTTP\r\n\r\n', 400],
    ['a path that is too long', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['headers that are too long', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', 400],
  ])('is answered with an error, and the connection closed: %s', async (_what, bytes, status) => {
    const answer = await answerAndReset(Number(new URL(gateway.url).port), bytes);
    const [head, body] = answer.split('\r\n\r\n') as [string, string];
    expect(head).toContain(`HTTP/1.1 ${status} `);
    expect(JSON.parse(body)).toMatchObject({ code: status, requestId: expect.any(String) as string });
  });
});

describe('what is unusual but clear', () => {
  it('is taken: words in any case, answered in upper case', async () => {
    const body = '{"publishPermissions":["audio","Video"],"deviceApiVersion":"v3"}';
    const created = (await (await post('/participants', body)).json()) as { participant: { id: string } };
    expect(created.participant).toMatchObject({
      publishPermissions: ['AUDIO', 'VIDEO'],
      deviceApiVersion: 'V3',
    });
    gateway.core.deleteParticipant(ACCOUNT.id, created.participant.id);
  });

  it('is taken: null for what is left out, and properties that are unknown or read-only', async () => {
    const body =
      '{"id":"mine","tag":null,"callbackUrl":null,"deviceApiVersion":null,"publishPermissions":null,' +
      '"sessions":["x"],"subscriptions":null,"more":1}';
    const created = (await (await post('/participants', body)).json()) as { participant: { id: string } };
    expect(created.participant.id).not.toBe('mine');
    expect(created.participant).toMatchObject({ sessions: [], subscriptions: {} });
    expect(Object.values(created.participant)).not.toContain(null);
    gateway.core.deleteParticipant(ACCOUNT.id, created.participant.id);
  });

  it.each<[string, RequestInit]>([
    ['no body, no type', {}],
    ['an empty body of JSON', { body: '', headers: json }],
    [
      'an empty body of a form',
      { body: '', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    ],
    ['null', { body: 'null', headers: json }],
    ['{}', { body: '{}', headers: json }],
    ['JSON with a charset', { body: '{}', headers: { 'content-type': 'application/json; charset=UTF-8' } }],
  ])('is taken: %s', async (_what, init) => {
    const response = await gateway.ask('/sessions', { method: 'POST', ...init });
    expect(response.status).toBe(200);
    const { id } = (await response.json()) as { id: string };
    gateway.core.deleteSession(ACCOUNT.id, id);
  });
});
