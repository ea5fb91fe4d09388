import { once } from 'node:events';
import type Srf from 'drachtio-srf';
import { afterEach, describe, expect, it } from 'vitest';
import type { SipServer } from './index.js';
import { Caller, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../test/support/sip-server.js';

let server: SipServer | undefined;
let srf: Srf | undefined;
let peer: SipPeer | undefined;

afterEach(async () => {
  peer?.close();
  srf?.disconnect();
  await server?.stop();
});

async function start(transport: 'udp' | 'tcp', prepare: (app: Srf) => void): Promise<Caller> {
  server = await testServer();
  srf = await connectApp(server, prepare);
  peer = await SipPeer[transport](addressOf(server, transport));
  return new Caller(peer, transport.toUpperCase());
}

function answering(dialogs: (dialog: Srf.Dialog) => void): (app: Srf) => void {
  return (app) =>
    app.invite((req, res) => {
      void app.createUAS(req, res, { localSdp: SDP }).then(dialogs);
    });
}

describe.each(['udp', 'tcp'] as const)('a call over %s', (transport) => {
  it('is answered, acknowledged and ended by the caller', async () => {
    const dialog = deferred<Srf.Dialog>();
    const caller = await start(transport, answering(dialog.resolve));
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.next()).status).toBe(100);
    const ok = await caller.peer.final();
    expect(ok.status).toBe(200);
    expect(ok.header('contact')).toHaveLength(1);
    expect(ok.header('via')[0]).toContain(`rport=${caller.peer.port}`);
    caller.learn(ok);
    const ended = once((await dialog.promise) as unknown as NodeJS.EventEmitter, 'destroy');
    caller.peer.send(caller.request('ACK', 1));
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
    await ended;
    expect(server?.counters().dialogs).toBe(0);
  });

  it('is ended by the application', async () => {
    const dialog = deferred<Srf.Dialog>();
    const caller = await start(transport, answering(dialog.resolve));
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    (await dialog.promise).destroy();
    const bye = await caller.peer.next((message) => message.method === 'BYE');
    expect(bye.startLine).toContain(`sip:caller@127.0.0.1:${caller.peer.port}`);
    expect(bye.header('to')[0]).toContain(caller.fromTag);
    const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${bye.header(name)[0]!}`);
    caller.peer.send(['SIP/2.0 200 OK', ...echo, 'Content-Length: 0', '', ''].join('\r\n'));
    await expect.poll(() => server?.counters().dialogs).toBe(0);
  });

  it('is cancelled before the answer', async () => {
    const cancelled = deferred<undefined>();
    const caller = await start(transport, (app) =>
      app.invite((req, res) => {
        req.on('cancel', () => cancelled.resolve(undefined));
        res.send(180);
      }),
    );
    caller.peer.send(caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-one' }));
    await caller.peer.next((message) => message.status === 180);
    caller.peer.send(caller.request('CANCEL', 1, { branch: 'z9hG4bK-one' }));
    const first = await caller.peer.final();
    const second = await caller.peer.final();
    expect([first.status, second.status].sort()).toEqual([200, 487]);
    await cancelled.promise;
  });
});
