import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Core } from '../core/index.js';
import { ACCOUNT, basic, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi();
});
afterAll(() => gateway.stop());

describe('the log', () => {
  it('has account, address, method, path and status of each request', async () => {
    const response = await gateway.ask('/sessions', { method: 'POST' });
    const requestId = response.headers.get('x-request-id');
    const entries = gateway.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries.filter((entry) => entry['requestId'] === requestId)).toMatchObject([
      { account: ACCOUNT.id, method: 'POST', path: '/v1/accounts/9900000/sessions', status: 200 },
    ]);
  });

  it('is one JSON line for each request, whatever is in its path', async () => {
    await fetch(`${gateway.url}/v1/accounts/%22%5C%0a/sessions`);
    const entry = gateway.logged.map((line) => JSON.parse(line) as Record<string, unknown>).at(-1);
    expect(entry).toMatchObject({ account: '"\\\n', path: '/v1/accounts/%22%5C%0a/sessions', status: 401 });
    const outside = await fetch(`${gateway.url}/nowhere`);
    const requestId = outside.headers.get('x-request-id');
    const lines = gateway.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.find((line) => line['requestId'] === requestId)).not.toHaveProperty('account');
  });

  it('names the account in the path, also if there is no such route or the path is malformed', async () => {
    for (const path of ['/nowhere', '/sessions/x/nowhere', '/%zz', '//participants/%', '', '?x=1']) {
      await gateway.ask(path);
      const entry = gateway.logged.map((line) => JSON.parse(line) as Record<string, unknown>).at(-1);
      expect(entry, path).toMatchObject({ account: ACCOUNT.id });
    }
  });

  it('names the participant and the session in the path', async () => {
    for (const [path, ids] of [
      ['/participants/p1', { participantId: 'p1' }],
      ['/participants/p1/device', { participantId: 'p1' }],
      ['/sessions/s1', { sessionId: 's1' }],
      ['/sessions/s1/participants/p1/subscriptions', { sessionId: 's1', participantId: 'p1' }],
    ] as const) {
      await gateway.ask(path);
      const entry = gateway.logged.map((line) => JSON.parse(line) as Record<string, unknown>).at(-1);
      expect(entry, path).toMatchObject({ account: ACCOUNT.id, ...ids });
    }
  });

  it('has health checks only at debug level, also when the gateway is not ready', async () => {
    const draining = await startApi({ readiness: () => 'draining' });
    try {
      for (const path of ['/healthz', '/readyz', '/metrics']) await fetch(draining.url + path);
      const entries = draining.logged.map((line) => JSON.parse(line) as { level: number; path: string });
      const levels = entries.filter(({ path }) => /z$|metrics/.test(path)).map(({ level }) => level);
      expect(levels).toEqual([20, 20, 20]);
    } finally {
      await draining.stop();
    }
  });

  it('never holds a credential, a token or a query', async () => {
    const { token } = (await gateway.client.createParticipant(ACCOUNT.id, {})).result;
    const headers = { authorization: basic({ user: 'somebody', password: 'guessed-secret' }) };
    await gateway.ask('/sessions', { headers });
    await fetch(`${gateway.url}/v3/?token=${token}`);
    await fetch(`${gateway.url}/program/?token=${token}`);
    await fetch(`${gateway.url}/v1/%zz?token=${token}`);
    const logged = gateway.logged.join('');
    expect(logged).toContain('"/v3/"');
    expect(logged).toContain('"/program/"');
    for (const secret of [
      token!,
      ACCOUNT.password,
      basic(ACCOUNT),
      'guessed-secret',
      headers.authorization,
    ]) {
      expect(logged).not.toContain(secret.replace('Basic ', ''));
    }
  });

  it('has the details of an unexpected error, which the response does not have', async () => {
    const core = {
      sessions: () => {
        throw new Error('disk on fire');
      },
    } as unknown as Core;
    const failing = await startApi({ core });
    try {
      const response = await failing.ask('/sessions');
      expect(response.status).toBe(500);
      const body = await response.text();
      expect(body).not.toContain('fire');
      expect(JSON.parse(body)).toMatchObject({ code: 500, reason: 'PATCHBAY_INTERNAL' });
      const line = failing.logged.find((entry) => entry.includes('disk on fire'));
      expect(line).toContain((JSON.parse(body) as { requestId: string }).requestId);
      expect(line).toContain(`"account":"${ACCOUNT.id}"`);
    } finally {
      await failing.stop();
    }
  });
});

describe('a response', () => {
  it('comes only once the change is on disk', async () => {
    let written: () => void = () => undefined;
    const disk = new Promise<void>((resolve) => (written = resolve));
    const { core } = gateway;
    const slow = await startApi({
      core: new Proxy(core, {
        get: (target, name) => {
          if (name === 'flush') return () => disk;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
    });
    try {
      let answered = false;
      const answer = slow.ask('/sessions', { method: 'POST' }).then((response) => {
        answered = true;
        return response.status;
      });
      // A later listing is answered while the creation still waits for the disk.
      while (((await (await slow.ask('/sessions')).json()) as { items: unknown[] }).items.length === 0);
      expect(answered).toBe(false);
      written();
      expect(await answer).toBe(200);
    } finally {
      await slow.stop();
    }
  });

  it('has headers that keep it out of caches and pages', async () => {
    for (const path of ['/healthz', '/openapi.json', '/nowhere', '/v1/accounts/x/sessions']) {
      const { headers } = await fetch(gateway.url + path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('to a change has them too', async () => {
    const written = await gateway.ask('/sessions', { method: 'POST' });
    const refused = await gateway.ask('/sessions', { method: 'POST', body: 'tag=a' });
    expect([written.status, refused.status]).toEqual([200, 415]);
    for (const { headers } of [written, refused]) {
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
    expect(written.headers.get('x-request-id')).not.toBe(refused.headers.get('x-request-id'));
  });
});
