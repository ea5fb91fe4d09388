import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HttpRouter, httpRouter, type SipServer } from './index.js';
import { RequestHandler, type Verdict } from '../../test/support/request-handler.js';
import { Caller, type HeardMessage, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

/** For a handler that answers: on a loaded machine that takes its time. */
const ANSWER_MS = 20_000;
/** For a handler that never answers. */
const SHORT_ANSWER_MS = 200;
const MAX_WAITING = 2;

let handler: RequestHandler;
let router: HttpRouter;
let verdict: Verdict;
let server: SipServer;
let caller: Caller;
let callee: SipPeer;
const warnings: string[] = [];
const cleanups: (() => void)[] = [];

beforeEach(async () => {
  handler = await RequestHandler.start(() => verdict);
  router = routerThatWaits(ANSWER_MS);
  server = await testServer({ router: (request) => router.decide(request), homeTag: 'home' });
  caller = new Caller(await SipPeer.udp(addressOf(server, 'udp')));
  callee = await SipPeer.udp(addressOf(server, 'udp'));
  for (const name of ['home', 'other']) {
    const app = await connectApp(
      server,
      (srf) => srf.invite((_req, res) => res.send(486, { headers: { 'X-App': name } })),
      [name],
    );
    cleanups.push(() => app.disconnect());
  }
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  for (const peer of [caller.peer, callee]) peer.close();
  await server.stop();
  await router.close();
  handler.close();
  warnings.length = 0;
});

function routerThatWaits(answerMs: number): HttpRouter {
  const ignore = (): void => undefined;
  const log = {
    debug: ignore,
    info: ignore,
    warn: (_: object, text: string) => void warnings.push(text),
    error: ignore,
  };
  return httpRouter({ url: handler.url, log, answerMs, maxWaiting: MAX_WAITING });
}

/** Replaces the router by one that waits for a short time only. */
async function waitShortly(): Promise<void> {
  await router.close();
  router = routerThatWaits(SHORT_ANSWER_MS);
}

function invite(): void {
  const next = new Caller(caller.peer);
  caller.peer.send(next.request('INVITE', 1, { body: SDP }));
}

async function answerWhen(decided: Verdict): Promise<HeardMessage> {
  verdict = decided;
  invite();
  return caller.peer.final();
}

describe('an operator’s request handler', () => {
  it('is left when the router closes', async () => {
    expect((await answerWhen({ action: 'reject', data: { status: 486 } })).status).toBe(486);
    const left = handler.left();
    await router.close();
    await left;
  });

  it('is asked as drachtio-server asks, participant tokens masked', async () => {
    verdict = { action: 'reject', data: { status: 486 } };
    const token = 'eyJhbGciOiJIUzI1NiJ9.eyJwIjoiMSJ9.c2lnbmF0dXJl';
    const text = caller.request('INVITE', 1, { body: SDP });
    caller.peer.send(
      text.replace(/^INVITE \S+/, `INVITE sip:${token}@example.com;token=${token};method=BYE`),
    );
    expect((await caller.peer.final()).status).toBe(486);
    expect(handler.asked).toEqual([
      {
        method: 'INVITE',
        domain: 'example.com',
        protocol: 'udp',
        source_address: '127.0.0.1',
        fromUser: 'caller',
        toUser: 'gateway',
        uriUser: '***',
        contentType: 'application/sdp',
        uri: 'sip:***@example.com;token=***;method=BYE',
      },
    ]);
  });

  it('routes to the applications with a tag', async () => {
    for (const tag of ['other', 'home']) {
      const answer = await answerWhen({ action: 'route', data: { tag } });
      expect(answer.header('x-app')).toEqual([tag]);
    }
    expect((await answerWhen({ action: 'route', data: { tag: 'nobody' } })).status).toBe(480);
  });

  it('rejects and redirects', async () => {
    const rejected = await answerWhen({
      action: 'reject',
      data: { status: 503, reason: 'Max Calls Exceeded' },
    });
    expect(rejected.startLine).toBe('SIP/2.0 503 Max Calls Exceeded');
    const contact = ['sip:a@example.com', '<sip:b@example.com;transport=tcp>'];
    const redirected = await answerWhen({ action: 'redirect', data: { contact } });
    expect(redirected.status).toBe(302);
    expect(redirected.header('contact')).toEqual(contact);
  });

  it('has a request proxied', async () => {
    verdict = {
      action: 'proxy',
      data: { destination: `sip:callee@127.0.0.1:${callee.port}`, recordRoute: true },
    };
    invite();
    const forwarded = await callee.next(({ method }) => method === 'INVITE');
    expect(forwarded.header('record-route')).toHaveLength(1);
    const echo = ['via', 'from', 'call-id', 'cseq'].flatMap((name) =>
      forwarded.header(name).map((value) => `${name}: ${value}`),
    );
    const to = `To: ${forwarded.header('to')[0]!};tag=c`;
    callee.send(['SIP/2.0 404 Not Found', ...echo, to, 'Content-Length: 0', '', ''].join('\r\n'));
    expect((await caller.peer.final()).status).toBe(404);
  });

  it.each([
    ['no JSON', 'moved'],
    ['no object', '7'],
    ['an unknown action', { action: 'dance', data: {} }],
    ['no data', { action: 'route' }],
    ['no tag', { action: 'route', data: { uri: 'elsewhere:4000' } }],
    ['a status that is none', { action: 'reject', data: { status: 200 } }],
    [
      'a reason that would be a header',
      { action: 'reject', data: { status: 486, reason: 'a\r\nX-Evil: 1' } },
    ],
    ['a target that is no URI', { action: 'proxy', data: { destination: ['nowhere'] } }],
    ['too much', ' '.repeat(100_000)],
  ])('that answers %s has the request refused with 503', async (_what, answer) => {
    const refused = await answerWhen(answer);
    expect(refused.status).toBe(503);
    expect(refused.header('retry-after')).toEqual(['5']);
    expect(warnings).toHaveLength(1);
    expect(server.counters().droppedUnrouted).toBe(1);
  });

  it('is not waited for too long, nor by too many', async () => {
    await waitShortly();
    verdict = undefined;
    for (let i = 0; i <= MAX_WAITING; i++) invite();
    const refusals = [await caller.peer.final(), await caller.peer.final(), await caller.peer.final()];
    expect(refusals.map(({ status }) => status)).toEqual([503, 503, 503]);
    expect(handler.asked).toHaveLength(MAX_WAITING);
  });

  it('is not needed any more when the caller cancels', async () => {
    await waitShortly();
    verdict = undefined;
    const cancelled = new Caller(caller.peer);
    const options = { body: SDP, branch: 'z9hG4bK-cancelled' };
    caller.peer.send(cancelled.request('INVITE', 1, options));
    await caller.peer.next(({ status }) => status === 100);
    caller.peer.send(cancelled.request('CANCEL', 1, { branch: options.branch }));
    const answers = [await caller.peer.final(), await caller.peer.final()];
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 487]);
    await expect.poll(() => warnings.length, { timeout: 20_000 }).toBe(1);
    expect(server.counters().droppedUnrouted).toBe(0);
  });

  it('is not asked about what no application wants', async () => {
    caller.peer.send(caller.request('REGISTER', 1));
    expect((await caller.peer.final()).status).toBe(405);
    expect(handler.asked).toEqual([]);
  });
});

describe('without a request handler', () => {
  it('the applications at home come first, and others take what those do not want', async () => {
    const plain = await testServer({ homeTag: 'home' });
    const phone = await SipPeer.udp(addressOf(plain, 'udp'));
    for (const [name, methods] of [
      ['other', ['invite', 'register']],
      ['home', ['invite']],
    ] as const) {
      const app = await connectApp(
        plain,
        (srf) => {
          for (const method of methods)
            srf.use(method, (_req, res) => res.send(486, { headers: { 'X-App': name } }));
        },
        [name],
      );
      cleanups.push(() => app.disconnect());
    }
    const takenBy = async (method: string): Promise<string | undefined> => {
      phone.send(new Caller(phone).request(method, 1));
      return (await phone.final()).header('x-app')[0];
    };
    expect([await takenBy('INVITE'), await takenBy('INVITE'), await takenBy('INVITE')]).toEqual([
      'home',
      'home',
      'home',
    ]);
    expect(await takenBy('REGISTER')).toBe('other');
    phone.close();
    await plain.stop();
  });
});
