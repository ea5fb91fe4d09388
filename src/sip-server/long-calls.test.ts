import { once } from 'node:events';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SipServer } from './index.js';
import { Caller, isRequest, SDP, SipPeer, type HeardMessage } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../test/support/sip-server.js';

let server: SipServer;
let srf: Srf;
let caller: Caller;
let handler: (req: Srf.SrfRequest, res: Srf.SrfResponse) => void;

beforeEach(async () => {
  // The sockets are real; only the server's and the peer's timers stand still until a test moves them.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  server = await testServer();
  srf = await connectApp(server, (app) => {
    app.invite((req, res) => handler(req, res));
    app.use('subscribe', (_req, res) => res.send(202, { headers: { Expires: '60' } }));
  });
  caller = new Caller(await SipPeer.udp(addressOf(server, 'udp')));
});

afterEach(async () => {
  vi.useRealTimers();
  caller.peer.close();
  srf.disconnect();
  await server.stop();
});

async function answered(headers: string[], own: Record<string, string> = {}): Promise<Srf.Dialog> {
  const dialog = deferred<Srf.Dialog>();
  handler = (req, res) => void srf.createUAS(req, res, { localSdp: SDP, headers: own }).then(dialog.resolve);
  caller.peer.send(caller.request('INVITE', 1, { body: SDP, headers }));
  caller.learn(await caller.peer.final());
  caller.peer.send(caller.request('ACK', 1));
  return dialog.promise;
}

function reply(request: HeardMessage, status: string, headers: string[] = []): void {
  const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${request.header(name)[0]!}`);
  caller.peer.send([`SIP/2.0 ${status}`, ...echo, ...headers, 'Content-Length: 0', '', ''].join('\r\n'));
}

async function ended(dialog: Srf.Dialog): Promise<string> {
  const [, reason] = (await once(dialog as unknown as NodeJS.EventEmitter, 'destroy')) as [unknown, string];
  return reason;
}

describe('a 2xx without ACK', () => {
  it('is sent again until 64 T1, then the call is ended on both sides', async () => {
    const dialog = deferred<Srf.Dialog>();
    handler = (req, res) => void srf.createUAS(req, res, { localSdp: SDP }).then(dialog.resolve);
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    await caller.peer.final();
    const gone = ended(await dialog.promise);
    await vi.advanceTimersByTimeAsync(500);
    expect((await caller.peer.next()).status).toBe(200);
    await vi.advanceTimersByTimeAsync(1000);
    expect((await caller.peer.next()).status).toBe(200);
    await vi.advanceTimersByTimeAsync(30_500);
    const bye = await caller.peer.next(isRequest('BYE'));
    expect(bye.header('reason')[0]).toContain('ACK timeout');
    expect(await gone).toBe('ACK timeout');
  });
});

describe('session timers', () => {
  const timer = ['Session-Expires: 1800;refresher=uas', 'Supported: timer'];

  it('are agreed on when the application leaves them to the server', async () => {
    await answered(timer);
    const ok = caller.peer.heard.find(({ status }) => status === 200);
    expect(ok?.header('session-expires')).toEqual(['1800;refresher=uas']);
  });

  it('refuses an interval under 90 seconds', async () => {
    caller.peer.send(caller.request('INVITE', 1, { headers: ['Session-Expires: 60', 'Supported: timer'] }));
    const refused = await caller.peer.final();
    expect(refused.status).toBe(422);
    expect(refused.header('min-se')).toEqual(['90']);
  });

  it('refreshes by UPDATE a phone that takes it, at half the interval', async () => {
    await answered([...timer, 'Allow: INVITE, ACK, BYE, CANCEL, UPDATE']);
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    await vi.advanceTimersByTimeAsync(900_000);
    const update = await caller.peer.next(isRequest('UPDATE'));
    expect(update.header('session-expires')).toEqual(['1800;refresher=uac']);
    expect(update.body).toBe('');
    reply(update, '200 OK', ['Session-Expires: 1800;refresher=uac']);
    await expect.poll(() => server.counters().responsesIn).toBe(1);
    await vi.advanceTimersByTimeAsync(900_000);
    expect((await caller.peer.next(isRequest('UPDATE'))).header('cseq')).not.toEqual(update.header('cseq'));
  });

  it('refreshes by re-INVITE with what was sent last when UPDATE is not taken', async () => {
    await answered(timer);
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    await vi.advanceTimersByTimeAsync(900_000);
    const invite = await caller.peer.next(isRequest('INVITE'));
    expect(invite.body).toBe(SDP);
    reply(invite, '200 OK', ['Session-Expires: 1800;refresher=uac', 'Contact: <sip:caller@127.0.0.1>']);
    expect((await caller.peer.next(isRequest('ACK'))).header('cseq')[0]).toBe(
      invite.header('cseq')[0]?.replace('INVITE', 'ACK'),
    );
  });

  it('asks again for the longer interval of a 422, but not for ever', async () => {
    await answered([...timer, 'Allow: INVITE, ACK, BYE, CANCEL, UPDATE']);
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    await vi.advanceTimersByTimeAsync(900_000);
    reply(await caller.peer.next(isRequest('UPDATE')), '422 Session Interval Too Small', ['Min-SE: 2400']);
    const longer = await caller.peer.next(isRequest('UPDATE'));
    expect(longer.header('session-expires')).toEqual(['2400;refresher=uac']);
    // A peer that refuses what it asked for would refuse it each time.
    reply(longer, '422 Session Interval Too Small', ['Min-SE: 2400']);
    await expect.poll(() => server.counters().responsesIn).toBe(2);
    const sent = server.counters().requestsOut;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.counters().requestsOut).toBe(sent);
  });

  it('answers 491 to a re-INVITE that crosses its own', async () => {
    await answered(timer);
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    await vi.advanceTimersByTimeAsync(900_000);
    await caller.peer.next(isRequest('INVITE'));
    caller.peer.send(caller.request('INVITE', 2, { body: SDP }));
    expect((await caller.peer.final()).status).toBe(491);
  });

  it('hangs up when the phone is to refresh and does not', async () => {
    const dialog = await answered(['Session-Expires: 90;refresher=uac', 'Supported: timer']);
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    const gone = ended(dialog);
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await caller.peer.next(isRequest('BYE'))).header('reason')[0]).toContain('Session timer expired');
    expect(await gone).toBe('Session timer expired');
  });
});

describe('a reliable provisional response', () => {
  const rel = { headers: ['Supported: 100rel'], body: SDP };

  it('is sent again until its PRACK, which the application answers', async () => {
    const acknowledged = deferred<string>();
    handler = (_req, res) => {
      const send = res.send.bind(res) as (...args: unknown[]) => void;
      send(183, { headers: { Require: '100rel' }, body: SDP }, null, (prack: Srf.SrfRequest) =>
        acknowledged.resolve(prack.get('rack')),
      );
    };
    caller.peer.send(caller.request('INVITE', 1, rel));
    const progress = await caller.peer.next(({ status }) => status === 183);
    const sequence = progress.header('rseq')[0]!;
    await vi.advanceTimersByTimeAsync(500);
    expect((await caller.peer.next()).header('rseq')).toEqual([sequence]);
    caller.learn(progress);
    caller.peer.send(caller.request('PRACK', 2, { headers: [`RAck: ${sequence} 1 INVITE`] }));
    expect((await caller.peer.final()).status).toBe(200);
    expect(await acknowledged.promise).toBe(`${sequence} 1 INVITE`);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(caller.peer.heard.filter(({ status }) => status === 183)).toHaveLength(2);
  });

  it('holds the 2xx back while its session description is unacknowledged', async () => {
    handler = (_req, res) => {
      res.send(183, { headers: { Require: '100rel' }, body: SDP });
      res.send(200, { body: SDP });
    };
    caller.peer.send(caller.request('INVITE', 1, rel));
    const progress = await caller.peer.next(({ status }) => status === 183);
    await vi.advanceTimersByTimeAsync(500);
    await caller.peer.next(({ status }) => status === 183);
    expect(caller.peer.heard.some(({ status }) => status === 200)).toBe(false);
    caller.learn(progress);
    caller.peer.send(
      caller.request('PRACK', 2, { headers: [`RAck: ${progress.header('rseq')[0]!} 1 INVITE`] }),
    );
    const finals = [await caller.peer.final(), await caller.peer.final()];
    expect(finals.map((message) => message.header('cseq')[0])).toEqual(['2 PRACK', '1 INVITE']);
  });

  it('refuses the call with 504 when no PRACK comes', async () => {
    handler = (_req, res) => res.send(183, { headers: { Require: '100rel' }, body: SDP });
    caller.peer.send(caller.request('INVITE', 1, rel));
    await caller.peer.next(({ status }) => status === 183);
    await vi.advanceTimersByTimeAsync(32_000);
    expect((await caller.peer.final()).status).toBe(504);
  });

  it('answers 481 to a PRACK for nothing', async () => {
    handler = (_req, res) => res.send(180);
    caller.peer.send(caller.request('INVITE', 1, rel));
    caller.learn(await caller.peer.next(({ status }) => status === 180));
    caller.peer.send(caller.request('PRACK', 2, { headers: ['RAck: 1 1 INVITE'] }));
    expect((await caller.peer.final()).status).toBe(481);
  });
});

describe('a subscription whose last NOTIFY does not come', () => {
  const dialogs = (): number => server.counters().dialogs;

  it('ends a while after the time that it was given, and later when it is refreshed', async () => {
    caller.peer.send(caller.request('SUBSCRIBE', 1, { headers: ['Event: presence', 'Expires: 3600'] }));
    caller.learn(await caller.peer.final());
    await vi.advanceTimersByTimeAsync(50_000);
    caller.peer.send(caller.request('SUBSCRIBE', 2, { headers: ['Event: presence', 'Expires: 3600'] }));
    expect((await caller.peer.final()).header('cseq')).toEqual(['2 SUBSCRIBE']);
    await vi.advanceTimersByTimeAsync(91_999);
    expect(dialogs()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(dialogs()).toBe(0);
  });

  it('ends when the last NOTIFY that came said it would', async () => {
    const app = srf as unknown as { createUAC(uri: string, opts: object): Promise<NodeJS.EventEmitter> };
    const target = `sip:phone@127.0.0.1:${caller.peer.port}`;
    const pending = app.createUAC(target, { method: 'SUBSCRIBE', headers: { Event: 'presence' } });
    const subscribe = await caller.peer.next(isRequest('SUBSCRIBE'));
    const tagged = `${subscribe.header('to')[0]!};tag=phone`;
    const contact = `Contact: <${target}>`;
    const echo = ['via', 'from', 'call-id', 'cseq'].map((name) => `${name}: ${subscribe.header(name)[0]!}`);
    caller.peer.send(
      ['SIP/2.0 200 OK', ...echo, `To: ${tagged}`, contact, 'Expires: 600', 'Content-Length: 0', '', ''].join(
        '\r\n',
      ),
    );
    const dialog = await pending;
    dialog.on('notify', (_req: Srf.SrfRequest, res: Srf.SrfResponse) => res.send(200));
    caller.peer.send(
      [
        'NOTIFY sip:gateway@127.0.0.1 SIP/2.0',
        `Via: SIP/2.0/UDP 127.0.0.1:${caller.peer.port};branch=z9hG4bK-n;rport`,
        `From: ${tagged}`,
        `To: ${subscribe.header('from')[0]!}`,
        `Call-ID: ${subscribe.header('call-id')[0]!}`,
        'CSeq: 1 NOTIFY',
        'Event: presence',
        'Subscription-State: active;expires=10',
        contact,
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    expect((await caller.peer.final()).status).toBe(200);
    await vi.advanceTimersByTimeAsync(41_999);
    expect(dialogs()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(dialogs()).toBe(0);
  });
});
