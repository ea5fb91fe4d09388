import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { coreForTests } from '../core/testing/index.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.stop());

describe('the rate limit', () => {
  it('refuses too many requests of one account with 429 and Retry-After', async () => {
    gateway = await startApi({ rateLimit: { requests: 3, windowMs: 60_000 } });
    for (let count = 0; count < 3; count++) expect((await gateway.ask('/sessions')).status).toBe(200);
    const refused = await gateway.ask('/sessions', { method: 'POST' });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 429, reason: 'PATCHBAY_TOO_MANY_REQUESTS' });
    expect(gateway.core.counts().sessions).toBe(0);

    const others = `${gateway.url}/v1/accounts/${OTHER_ACCOUNT.id}/sessions`;
    const answer = await fetch(others, { headers: { authorization: basic(OTHER_ACCOUNT) } });
    expect(answer.status).toBe(200);
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  });

  it('cannot be used up by those who do not know the password', async () => {
    gateway = await startApi({ rateLimit: { requests: 1, windowMs: 60_000 } });
    const headers = { authorization: basic({ ...ACCOUNT, password: 'guess' }) };
    for (let count = 0; count < 5; count++) {
      expect((await gateway.ask('/sessions', { headers })).status).toBe(401);
    }
    expect((await gateway.ask('/sessions')).status).toBe(200);
  });
});

describe('a request that does not arrive completely', () => {
  it('is answered with 408 and its connection closed', async () => {
    gateway = await startApi({ requestTimeoutMs: 200 });
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    const head = [
      'POST /v1/accounts/9900000/sessions HTTP/1.1',
      'Host: a',
      `Authorization: ${basic(ACCOUNT)}`,
    ];
    socket.write([...head, 'Content-Length: 10', '', '{'].join('\r\n'));
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    const [, body] = answer.split('\r\n\r\n');
    expect(JSON.parse(body!)).toMatchObject({ code: 408, error: 'The request took too long to arrive.' });
  });
});

describe('the limits of the core', () => {
  it('are answered with their status and Retry-After', async () => {
    const core = coreForTests({ limits: { sessionsPerAccount: 1 } }).core;
    gateway = await startApi({ core });
    expect((await gateway.ask('/sessions', { method: 'POST' })).status).toBe(200);
    const refused = await gateway.ask('/sessions', { method: 'POST' });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('60');
  });
});

describe('what an account keeps', () => {
  it('is limited: 429 beyond it, and 503 when the gateway itself keeps too much', async () => {
    const { core } = coreForTests({ limits: { bytes: 100_000, bytesPerAccount: 60_000 } });
    gateway = await startApi({ core });
    const fill = async (account: typeof ACCOUNT): Promise<Response> => {
      for (;;) {
        const response = await fetch(`${gateway.url}/v1/accounts/${account.id}/participants`, {
          method: 'POST',
          headers: { authorization: basic(account) },
        });
        if (response.status !== 200) return response;
      }
    };
    const own = await fill(ACCOUNT);
    expect([own.status, own.headers.get('retry-after')]).toEqual([429, '60']);
    expect(await own.json()).toMatchObject({ reason: 'PATCHBAY_TOO_MANY_REQUESTS' });
    const all = await fill(OTHER_ACCOUNT);
    expect([all.status, await all.json()]).toMatchObject([503, { reason: 'PATCHBAY_OVERLOADED' }]);
  });
});
