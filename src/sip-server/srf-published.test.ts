import { once } from 'node:events';
import type Srf from 'drachtio-srf';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SipServer } from './index.js';
import { PublishedSrf } from '../../test/support/published-srf.js';
import { SDP } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

const published = new PublishedSrf();
let server: SipServer;

vi.setConfig({ testTimeout: 20_000 });

beforeEach(async () => {
  server = await testServer();
});

afterEach(async () => {
  published.stopAll();
  await server.stop();
});

afterAll(() => published.remove());

describe('published applications', () => {
  it('answer calls', async () => {
    await published.run(server, 'uas.js', 'accept');
    expect(await published.call(server, 'uac.xml')).toBe(0);
  });

  it('refuse calls', async () => {
    await published.run(server, 'uas.js', 'reject', [503]);
    expect(await published.call(server, 'uac-expect-503.xml')).toBe(0);
  });

  it('take re-INVITEs', async () => {
    await published.run(server, 'uas.js', 'handleReinviteScenario');
    expect(await published.call(server, 'uac-send-reinvite-no-sdp.xml')).toBe(0);
  });

  it('take subscriptions, and end them by their NOTIFYs', async () => {
    await published.run(server, 'uas.js', 'acceptSubscribe');
    expect(await published.call(server, 'uac-subscribe.xml')).toBe(0);
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });

  it('join two calls when one of them asks for an attended transfer by REFER', async () => {
    const far = await testServer();
    try {
      const target = `sip:127.0.0.1:${addressOf(far, 'udp').port}`;
      // It waits two seconds for the second call to be up.
      await published.run(far, 'refer-uas.js', '', [], [['}, 2000)', '}, 200)']]);
      await published.run(server, 'refer-b2b.js', '', [], [['172.29.0.19', target]]);
      const calls = ['uac-recv-reinvite.xml', 'uac-recv-reinvite.xml'];
      expect(await Promise.all(calls.map((each) => published.call(server, each)))).toEqual([0, 0]);
    } finally {
      published.stopAll();
      await far.stop();
    }
  });

  it.each([
    ['connect two phones', 'expectSuccess', [{}], 'uas.xml', 'uac.xml'],
    [
      'take and pass PRACKs on',
      'expectSuccess',
      [{ proxyResponseHeaders: ['all'], responseHeaders: { Contact: 'sip:foo@localhost' } }],
      'uas-prack.xml',
      'uac-prack.xml',
    ],
    ['connect a phone without an offer', 'expectSuccess', [{}], 'uas.xml', 'uac-nosdp.xml'],
    ['pass a CANCEL on', 'expectCancel', [], 'uas-cancel.xml', 'uac-cancel.xml'],
    ['pass a refusal on', 'expectFailure', [404], 'uas-404.xml', 'uac-expect-404.xml'],
    ['change a refusal', 'expectFailure', [404, 480], 'uas-404.xml', 'uac-expect-480.xml'],
    ['pass headers on', 'passHeaders', [], 'uas.xml', 'uac-displayname-from.xml'],
    ['add headers', 'passHeadersOnResponse', [{ 'X-Color': 'green' }], 'uas.xml', 'uac-success-green.xml'],
    [
      'wait with a re-INVITE for the ACK',
      'immediateReinviteFromB',
      [],
      'uas-reinvite.xml',
      'uac-delayed-ack.xml',
    ],
    ['hang up where half a call fails', 'expect3pccUasFailure', [], 'uas.xml', 'uac-3pcc-nosdp.xml'],
  ] as const)('back to back %s', async (_what, method, args, uas, uac) => {
    const callee = await published.answer(uas);
    await published.run(server, 'b2b.js', method, [callee.uri, ...args]);
    expect(await published.call(server, uac)).toBe(0);
    expect(await callee.done).toBe(0);
  });

  it.each(['proxyPromise', 'proxyCb'])('proxy calls (%s)', async (method) => {
    const callee = await published.answer('uas.xml');
    await published.run(server, 'proxy.js', method, [callee.uri]);
    expect(await published.call(server, 'uac-proxy.xml')).toBe(0);
    expect(await callee.done).toBe(0);
  });
});

/** The part of drachtio-srf that its types leave out. */
interface FullSrf {
  createUAC(uri: string, opts: object): Promise<FullDialog>;
  request(uri: string, opts: object): Promise<NodeJS.EventEmitter>;
}

interface FullDialog {
  readonly local: { readonly sdp: string };
  modify(sdp: string): Promise<unknown>;
  destroy(): Promise<unknown>;
}

describe('published scenarios', () => {
  const auth = { username: 'foo', password: 'bar' };
  let app: FullSrf;

  beforeEach(async () => {
    const srf = await connectApp(server, () => undefined);
    app = srf as unknown as FullSrf;
    return () => srf.disconnect();
  });

  async function call(scenario: string, during: (dialog: FullDialog) => Promise<unknown>): Promise<void> {
    const callee = await published.answer(scenario);
    const dialog = await app.createUAC(callee.uri, { auth, localSdp: SDP });
    await during(dialog);
    await dialog.destroy();
    expect(await callee.done).toBe(0);
  }

  it.each(['uas.xml', 'uas-auth.xml', 'uas-bye-with-auth.xml', 'uas-prack.xml'])(
    'call a phone (%s)',
    (scenario) => call(scenario, () => Promise.resolve()),
  );

  it('have the description in an UPDATE answered', () =>
    call('uas-update-with-sdp.xml', () => expect.poll(() => server.counters().responsesOut).toBe(1)));

  it('change a call, with a digest', () =>
    call('uas-reinvite-with-auth.xml', (dialog) => dialog.modify('hold')));

  it('change a call three times at once, one after the other', async () => {
    const modifyAll = (dialog: FullDialog): Promise<unknown> =>
      Promise.all([1, 2, 3].map(() => dialog.modify(dialog.local.sdp)));
    const callee = await published.answer('uas-reinvite-overlap.xml');
    await modifyAll(await app.createUAC(callee.uri, { localSdp: SDP }));
    expect(await callee.done).toBe(0);
  });

  it.each(['uas-auth-register.xml', 'uas-auth-register-no-realm.xml'])(
    'register with a digest (%s)',
    async (scenario) => {
      const callee = await published.answer(scenario);
      const request = await app.request(callee.uri, {
        method: 'REGISTER',
        auth,
        headers: { Subject: 'test' },
      });
      const [response] = (await once(request, 'response')) as [Srf.SrfResponse];
      expect(response.status).toBe(200);
      expect(await callee.done).toBe(0);
    },
  );
});
