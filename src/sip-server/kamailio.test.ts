import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SipServer } from './index.js';
import { HAS_KAMAILIO, Kamailio } from '../../test/support/kamailio.js';
import { Caller, SDP, SipPeer, type HeardMessage } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../test/support/sip-server.js';

describe.skipIf(!HAS_KAMAILIO)('behind Kamailio, which records its route', () => {
  let server: SipServer;
  let srf: Srf;
  let proxy: Kamailio;
  let caller: Caller;
  let dialog: Promise<Srf.Dialog>;

  beforeEach(async () => {
    server = await testServer();
    const answered = deferred<Srf.Dialog>();
    dialog = answered.promise;
    srf = await connectApp(server, (app) =>
      app.invite((req, res) => void app.createUAS(req, res, { localSdp: SDP }).then(answered.resolve)),
    );
    proxy = await Kamailio.start(addressOf(server, 'udp').port);
    caller = new Caller(await SipPeer.udp({ host: '127.0.0.1', port: proxy.port }));
  });

  afterEach(async () => {
    caller.peer.close();
    srf.disconnect();
    await proxy.stop();
    await server.stop();
  });

  /** A request in the call, along the recorded route to the gateway's Contact. */
  function inCall(ok: HeardMessage, method: string, cseq: number): string {
    const contact = /<([^>]+)>/.exec(ok.header('contact')[0]!)?.[1] ?? '';
    const route = ok.header('record-route').map((value) => `Route: ${value}`);
    return caller.request(method, cseq, { headers: route }).replace(/^\S+ \S+/, `${method} ${contact}`);
  }

  async function established(): Promise<HeardMessage> {
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    const ok = await caller.peer.next(
      ({ status, header }) => status === 200 && header('cseq')[0] === '1 INVITE',
    );
    caller.learn(ok);
    expect(ok.header('record-route')[0]).toContain(';lr');
    caller.peer.send(inCall(ok, 'ACK', 1));
    return ok;
  }

  it('takes the ACK and the BYE of a caller that come by the proxy', async () => {
    const ok = await established();
    await dialog;
    caller.peer.send(inCall(ok, 'BYE', 2));
    expect((await caller.peer.next(({ header }) => header('cseq')[0] === '2 BYE')).status).toBe(200);
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });

  it('sends its own BYE by the proxy', async () => {
    await established();
    (await dialog).destroy();
    const bye = await caller.peer.next(({ method }) => method === 'BYE');
    expect(bye.startLine).toContain(`:${caller.peer.port}`);
    // One Via of the proxy over one of ours.
    expect(bye.header('via')).toHaveLength(2);
  });
});
