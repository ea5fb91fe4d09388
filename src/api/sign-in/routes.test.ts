import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../shared/testing/index.js';
import { secureRequests } from '../../shared/index.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from '../testing/gateway.js';

let gateway: TestGateway;
let clock: FakeClock;
let refused: string[];
beforeEach(async () => {
  clock = new FakeClock();
  refused = [];
  gateway = await startApi({
    clock,
    developmentAccount: OTHER_ACCOUNT.id,
    isSecure: secureRequests(['127.0.0.1']),
    onRefused: (door, cause) => refused.push(`${door} ${typeof cause === 'string' ? cause : 'too many'}`),
  });
});
afterEach(() => gateway.stop());

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Record<string, unknown>;
}

const OWN = { 'sec-fetch-site': 'same-origin' };

/** A request as browsers make it: `fetch` of Node lets nobody set some of the headers. */
function ask(
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
  json?: object,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(gateway.url + path, { method, headers: { ...headers, ...(json && JSON_TYPE) } });
    asked.once('error', reject).once('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.once('end', () => {
        const body = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
        resolve({ status: response.statusCode!, headers: response.headers, body });
      });
    });
    asked.end(json && JSON.stringify(json));
  });
}
const JSON_TYPE = { 'content-type': 'application/json' };

const signIn = (account: object = ACCOUNT, headers: Record<string, string> = OWN) =>
  ask('/console/sign-in', 'POST', headers, account);
const cookieOf = ({ headers }: Answer): string => headers['set-cookie']![0]!.split(';')[0]!;
const signedIn = async (account: object = ACCOUNT) => ({ cookie: cookieOf(await signIn(account)) });
const sessionsOf = ({ id }: { id: string }) => `/v1/accounts/${id}/sessions`;

describe('signing in at the console', () => {
  it('gives a cookie that opens the account in REST', async () => {
    const answer = await signIn();
    expect(answer.status).toBe(200);
    const [cookie] = answer.headers['set-cookie']!;
    expect(cookie).toMatch(/^patchbay-console=[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(answer.headers['cache-control']).toBe('no-store');
    const headers = { cookie: cookieOf(answer) };
    expect((await ask(sessionsOf(ACCOUNT), 'GET', headers)).status).toBe(200);
    expect((await ask(sessionsOf(ACCOUNT), 'POST', { ...headers, ...OWN }, {})).status).toBe(200);
    expect(gateway.logged.join()).toContain('Signed in at the console');
    expect(gateway.logged.join()).not.toContain(ACCOUNT.password);
    expect(gateway.logged.join()).not.toContain(headers.cookie.slice(20));
  });

  it('opens no other account, and says so', async () => {
    const answer = await ask(sessionsOf(OTHER_ACCOUNT), 'GET', await signedIn());
    expect(answer).toMatchObject({ status: 401, body: { reason: 'PATCHBAY_UNAUTHORIZED' } });
    expect(answer.body['error']).toMatch('not signed in to the account');
  });

  it('tells the page who is signed in', async () => {
    const facts = { developmentSignIn: true, version: '1.2.3' };
    const nobody = { ...facts, accounts: [], isOperator: false, development: false };
    expect(await ask('/console/me')).toMatchObject({ status: 200, body: nobody });
    const operator = {
      ...facts,
      accounts: [ACCOUNT.id],
      user: ACCOUNT.user,
      isOperator: true,
      development: false,
    };
    expect((await ask('/console/me', 'GET', await signedIn())).body).toEqual(operator);
    const developer = { accounts: [OTHER_ACCOUNT.id], isOperator: false, development: true };
    expect((await signIn(OTHER_ACCOUNT)).body).toMatchObject(developer);
  });

  it('marks the cookie for TLS where a trusted proxy says that the page has it', async () => {
    const forwarded: Record<string, string>[] = [
      { 'x-forwarded-proto': 'https' },
      { forwarded: 'for=192.0.2.1;proto=https' },
    ];
    for (const headers of forwarded) {
      expect((await signIn(ACCOUNT, { ...OWN, ...headers })).headers['set-cookie']![0]).toContain('; Secure');
    }
    const plain = await signIn(ACCOUNT, { ...OWN, 'x-forwarded-proto': 'http' });
    expect(plain.headers['set-cookie']![0]).not.toContain('Secure');
  });

  it('is undone by signing out, which makes the cookie void', async () => {
    const mine = await signedIn();
    const out = await ask('/console/sign-out', 'POST', { ...mine, ...OWN });
    expect(out.status).toBe(200);
    expect(out.headers['set-cookie']![0]).toMatch(/^patchbay-console=; Max-Age=0; Path=\//);
    const answer = await ask(sessionsOf(ACCOUNT), 'GET', mine);
    expect(answer.status).toBe(401);
    expect(answer.body['error']).toMatch('sign in again');
    expect((await ask('/console/me', 'GET', mine)).body['accounts']).toEqual([]);
    expect((await ask('/console/sign-out', 'POST', OWN)).status).toBe(200);
  });

  it.each([
    [{ user: ACCOUNT.user, password: 'wrong' }, 401],
    [{ user: 'nobody', password: ACCOUNT.password }, 401],
    [{ user: '', password: '' }, 401],
    [{ user: ACCOUNT.user }, 400],
    [{ user: 1, password: 2 }, 400],
    [{ user: ACCOUNT.user, password: 'x'.repeat(509) }, 400],
    [undefined, 401],
  ])('is refused with %o', async (body, status) => {
    const answer = await ask('/console/sign-in', 'POST', OWN, body);
    expect(answer.status).toBe(status);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect(refused).toEqual(status === 401 ? ['console wrong'] : []);
    expect(gateway.logged.join()).not.toContain('x'.repeat(20));
  });

  it('is slowed down, and counted, for who tries passwords, and for nobody else', async () => {
    const { user, id } = ACCOUNT;
    for (let count = 0; count < 10; count += 1) await signIn({ user, password: `guess ${count}` });
    const late = await signIn();
    expect(late).toMatchObject({ status: 429, body: { reason: 'PATCHBAY_TOO_MANY_REQUESTS' } });
    expect(late.headers['retry-after']).toBe('6');
    expect(refused).toEqual([...Array<string>(10).fill('console wrong'), 'console too many']);
    const again = await ask(`/v1/accounts/${id}/sessions`, 'GET', { authorization: basic(ACCOUNT) });
    expect(again.status).toBe(429);
    expect(again.headers['retry-after']).toBe('6');
    expect((await signIn(OTHER_ACCOUNT)).status).toBe(200);
    clock.advance(6_000);
    expect((await signIn()).status).toBe(200);
    expect(refused.at(-1)).toBe('basic too many');
  });

  it('keeps no program out whose password is right, by those that others try from its address', async () => {
    const program = () => ask(sessionsOf(ACCOUNT), 'GET', { authorization: basic(ACCOUNT) });
    expect((await program()).status).toBe(200);
    const statuses = [];
    for (let count = 0; count < 12; count += 1) {
      const authorization = basic({ user: ACCOUNT.user, password: `guess ${count}` });
      statuses.push((await ask(sessionsOf(ACCOUNT), 'GET', { authorization })).status);
    }
    expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429]);
    expect((await program()).status).toBe(200);
  });

  it('counts neither missing credentials nor those of another account', async () => {
    for (let count = 0; count < 12; count += 1) {
      expect((await ask(sessionsOf(ACCOUNT))).status).toBe(401);
      const other = await ask(sessionsOf(ACCOUNT), 'GET', { authorization: basic(OTHER_ACCOUNT) });
      expect(other.status).toBe(401);
    }
    expect(refused).toEqual([]);
  });
});

describe('a request with the cookie', () => {
  const change = async (headers: Record<string, string>, method = 'POST') =>
    ask(sessionsOf(ACCOUNT), method, { ...(await signedIn()), ...headers }, {});

  it.each<Record<string, string>>([
    {},
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site', origin: 'own' },
  ])('changes nothing when another site has it made: %o', async (headers) => {
    const { origin } = headers;
    const answer = await change({ ...headers, ...(origin === 'own' && { origin: gateway.url }) });
    expect(answer).toMatchObject({ status: 403, body: { reason: 'PATCHBAY_CROSS_SITE' } });
    const { items } = gateway.core.sessions(ACCOUNT.id, {});
    expect(items).toEqual([]);
  });

  it('is believed by its Origin where the browser does not say Sec-Fetch-Site', async () => {
    expect((await change({ origin: gateway.url })).status).toBe(200);
    const { port } = new URL(gateway.url);
    expect((await change({ origin: 'https://gw.example', host: 'GW.example' })).status).toBe(200);
    expect((await change({ origin: `http://localhost:${port}` })).status).toBe(403);
  });

  it.each<Record<string, string>>([
    {},
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'http://evil.example' },
  ])('neither signs in nor out when another site has it made: %o', async (headers) => {
    expect((await signIn(ACCOUNT, headers)).status).toBe(403);
    const mine = await signedIn();
    expect((await ask('/console/sign-out', 'POST', { ...mine, ...headers })).status).toBe(403);
    expect((await ask(sessionsOf(ACCOUNT), 'GET', mine)).status).toBe(200);
  });

  it('does not count beside an Authorization header', async () => {
    const wrong = { ...(await signedIn()), authorization: 'Basic eDp5' };
    expect((await ask(sessionsOf(ACCOUNT), 'GET', wrong)).status).toBe(401);
    const right = { ...(await signedIn(OTHER_ACCOUNT)), authorization: basic(ACCOUNT) };
    expect((await ask(sessionsOf(ACCOUNT), 'POST', right, {})).status).toBe(200);
  });

  it.each<Record<string, string>>([
    { cookie: 'patchbay-console=old' },
    { 'x-patchbay-console': '1' },
    { 'sec-fetch-dest': 'empty' },
    { accept: 'text/event-stream' },
  ])('has the browser open no dialog of its own: %o', async (headers) => {
    const answer = await ask(sessionsOf(ACCOUNT), 'GET', headers);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  it('is another thing than one of a program, or of the address bar', async () => {
    for (const headers of [{}, { 'sec-fetch-dest': 'document' }] as Record<string, string>[]) {
      const answer = await ask(sessionsOf(ACCOUNT), 'GET', headers);
      expect(answer.headers['www-authenticate']).toMatch(/^Basic /);
    }
  });
});
