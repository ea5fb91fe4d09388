import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SipServer } from '../../../src/sip-server/index.js';
import { Caller, SDP, SipPeer, type HeardMessage } from '../../support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../support/sip-server.js';

/** What drachtio-srf resolves with. */
interface ProxyResults {
  connected: boolean;
  finalStatus: number;
  responses: { msgs: { status: number }[] }[];
}

/** The part of drachtio-srf that its types leave out. */
interface ProxyingSrf {
  proxyRequest(req: Srf.SrfRequest, to: string[], opts: object): Promise<ProxyResults>;
}

let server: SipServer;
let caller: Caller;
const callees: SipPeer[] = [];
let app: Srf | undefined;

beforeEach(async () => {
  server = await testServer();
  caller = new Caller(await SipPeer.udp(addressOf(server, 'udp')));
  for (const index of [0, 1]) callees[index] = await SipPeer.udp(addressOf(server, 'udp'));
});

afterEach(async () => {
  for (const peer of [caller.peer, ...callees]) peer.close();
  app?.disconnect();
  await server.stop();
});

const is = (method: string) => (message: HeardMessage) => message.method === method;

function targets(): string[] {
  return callees.map(({ port }) => `sip:callee@127.0.0.1:${port}`);
}

/** An application that proxies every request as told; `outcome` is what the first came to. */
async function proxying(opts: object, to: string[] = targets()): Promise<{ outcome: Promise<ProxyResults> }> {
  const outcome = deferred<ProxyResults>();
  const pass = (req: Srf.SrfRequest): void => {
    const srf = app as unknown as ProxyingSrf;
    // A request that cannot be proxied at all is refused: the caller hears it.
    srf.proxyRequest(req, [...to], { ...opts }).then(outcome.resolve, () => undefined);
  };
  app = await connectApp(server, (srf) => {
    srf.invite(pass);
    for (const method of ['message', 'subscribe', 'register']) srf.use(method, pass);
  });
  return { outcome: outcome.promise };
}

/** A request of the caller's whose Request-URI names the server, as when it is the caller's outbound proxy. */
function request(method: string, cseq: number, options: Parameters<Caller['request']>[2] = {}): string {
  const { port } = addressOf(server, 'udp');
  return caller.request(method, cseq, options).replace(/^(\S+) \S+/, `$1 sip:gateway@127.0.0.1:${port}`);
}

function reply(callee: SipPeer, to: HeardMessage, status: string, extra: string[] = [], body = ''): void {
  const echo = ['via', 'from', 'call-id', 'cseq', 'record-route'].flatMap((name) =>
    to.header(name).map((value) => `${name}: ${value}`),
  );
  const party = to.header('to')[0]!;
  const rest = [
    `To: ${party.includes('tag=') ? party : `${party};tag=callee-${callee.port}`}`,
    `Contact: <sip:callee@127.0.0.1:${callee.port}>`,
    ...extra,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
  ];
  callee.send(
    [`SIP/2.0 ${status}`, ...echo, ...rest, `Content-Length: ${body.length}`, '', body].join('\r\n'),
  );
}

describe('a proxied INVITE', () => {
  it('goes to the next target after a refusal, and the application sees all answers', async () => {
    const { outcome } = await proxying({});
    caller.peer.send(request('INVITE', 1, { body: SDP, headers: ['X-Kept: as it is'] }));
    const first = await callees[0]!.next(is('INVITE'));
    expect(first.startLine).toBe(`INVITE ${targets()[0]!} SIP/2.0`);
    expect(first.header('max-forwards')).toEqual(['69']);
    expect(first.header('x-kept')).toEqual(['as it is']);
    expect(first.header('via')).toHaveLength(2);
    expect(first.header('record-route')).toEqual([]);
    expect(first.body).toBe(SDP);
    reply(callees[0]!, first, '486 Busy Here');
    await callees[0]!.next(is('ACK'));
    const second = await callees[1]!.next(is('INVITE'));
    reply(callees[1]!, second, '180 Ringing');
    const ringing = await caller.peer.next(({ status }) => status > 100);
    expect(ringing.status).toBe(180);
    expect(ringing.header('via')).toHaveLength(1);
    reply(callees[1]!, second, '200 OK', [], SDP);
    expect((await caller.peer.final()).body).toBe(SDP);
    const results = await outcome;
    expect(results).toMatchObject({ connected: true, finalStatus: 200 });
    expect(results.responses.flatMap(({ msgs }) => msgs.map(({ status }) => status))).toEqual([486, 200]);
  });

  it('rings all targets at once, passes the first 200 and cancels the rest', async () => {
    const { outcome } = await proxying({ forking: 'simultaneous' });
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(callees.map((callee) => callee.next(is('INVITE'))));
    reply(callees[0]!, invites[0]!, '180 Ringing');
    reply(callees[1]!, invites[1]!, '200 OK', [], SDP);
    expect((await caller.peer.final()).header('to')[0]).toContain(`callee-${callees[1]!.port}`);
    const cancel = await callees[0]!.next(is('CANCEL'));
    expect(cancel.header('via')).toEqual([invites[0]!.header('via')[0]]);
    reply(callees[0]!, cancel, '200 OK');
    reply(callees[0]!, invites[0]!, '487 Request Terminated');
    await callees[0]!.next(is('ACK'));
    expect(await outcome).toMatchObject({ connected: true });
  });

  it('passes a second 200 too, as both phones are in a call then', async () => {
    await proxying({ forking: 'simultaneous' });
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(callees.map((callee) => callee.next(is('INVITE'))));
    callees.forEach((callee, index) => reply(callee, invites[index]!, '200 OK', [], SDP));
    const tags = [await caller.peer.final(), await caller.peer.final()].map((ok) => ok.header('to')[0]);
    expect(new Set(tags).size).toBe(2);
  });

  it('brings back the best of several refusals, with all challenges', async () => {
    const { outcome } = await proxying({ forking: 'simultaneous' });
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(callees.map((callee) => callee.next(is('INVITE'))));
    reply(callees[0]!, invites[0]!, '407 Proxy Authentication Required', [
      'Proxy-Authenticate: Digest realm="a"',
    ]);
    reply(callees[1]!, invites[1]!, '401 Unauthorized', ['WWW-Authenticate: Digest realm="b"']);
    const refusal = await caller.peer.final();
    expect(refusal.text).toContain('realm="a"');
    expect(refusal.text).toContain('realm="b"');
    expect(await outcome).toMatchObject({ connected: false });
  });

  it('ends with a 6xx at once and tells the other target', async () => {
    await proxying({ forking: 'simultaneous' });
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(callees.map((callee) => callee.next(is('INVITE'))));
    reply(callees[0]!, invites[0]!, '180 Ringing');
    reply(callees[1]!, invites[1]!, '603 Decline');
    reply(callees[0]!, await callees[0]!.next(is('CANCEL')), '200 OK');
    reply(callees[0]!, invites[0]!, '487 Request Terminated');
    expect((await caller.peer.final()).status).toBe(603);
  });

  it('follows a redirection when asked, and passes it on when not', async () => {
    await proxying({ followRedirects: true }, [targets()[0]!]);
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const moved = await callees[0]!.next(is('INVITE'));
    reply(callees[0]!, moved, '302 Moved', [`Contact: <${targets()[1]!}>`]);
    const followed = await callees[1]!.next(is('INVITE'));
    expect(followed.startLine).toContain(targets()[1]!);
    reply(callees[1]!, followed, '404 Not Found');
    expect((await caller.peer.final()).status).toBe(404);
    app?.disconnect();
    await proxying({}, [targets()[0]!]);
    caller = new Caller(caller.peer);
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    reply(callees[0]!, await callees[0]!.next(is('INVITE')), '302 Moved', [`Contact: <${targets()[1]!}>`]);
    expect((await caller.peer.final()).status).toBe(302);
  });

  it('is cancelled with its targets, whose answer goes back', async () => {
    const { outcome } = await proxying({}, [targets()[0]!]);
    caller.peer.send(request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-cancelled' }));
    const invite = await callees[0]!.next(is('INVITE'));
    caller.peer.send(request('CANCEL', 1, { branch: 'z9hG4bK-cancelled' }));
    expect((await caller.peer.final()).header('cseq')).toEqual(['1 CANCEL']);
    // The target has not answered: it is told once it has.
    reply(callees[0]!, invite, '180 Ringing');
    reply(callees[0]!, await callees[0]!.next(is('CANCEL')), '200 OK');
    reply(callees[0]!, invite, '487 Request Terminated');
    expect(await caller.peer.final()).toMatchObject({ status: 487 });
    expect(await outcome).toMatchObject({ connected: false, finalStatus: 487 });
  });

  it('gives up a target that rings too long, or does not answer at all', async () => {
    await proxying({ provisionalTimeout: '100ms', finalTimeout: '200ms' });
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    await callees[0]!.next(is('INVITE'));
    const second = await callees[1]!.next(is('INVITE'));
    reply(callees[1]!, second, '180 Ringing');
    await callees[1]!.next(is('CANCEL'));
    expect((await caller.peer.final()).status).toBe(408);
  });

  it('is refused when its hops are used up or no target is a URI', async () => {
    await proxying({}, ['sip:']);
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.final()).status).toBe(500);
    caller = new Caller(caller.peer);
    caller.peer.send(request('INVITE', 1, { body: SDP }).replace('Max-Forwards: 70', 'Max-Forwards: 0'));
    expect((await caller.peer.final()).status).toBe(483);
  });
});

describe('a dialog that the proxy stays in', () => {
  async function connected(): Promise<{ route: string; ok: HeardMessage }> {
    await proxying({ remainInDialog: true }, [targets()[0]!]);
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const invite = await callees[0]!.next(is('INVITE'));
    const route = invite.header('record-route')[0]!;
    expect(route).toBe(`<sip:127.0.0.1:${addressOf(server, 'udp').port};lr>`);
    reply(callees[0]!, invite, '200 OK', [], SDP);
    const ok = await caller.peer.final();
    caller.learn(ok);
    return { route, ok };
  }

  /** A request of the caller's in the dialog, by the recorded route. */
  function inside(method: string, cseq: number, route: string, headers: string[] = []): string {
    return caller
      .request(method, cseq, { headers: [`Route: ${route}`, ...headers] })
      .replace(/^(\S+) \S+/, `$1 ${targets()[0]!}`);
  }

  it('carries ACK, re-INVITE and BYE from either side', async () => {
    const { route, ok } = await connected();
    caller.peer.send(inside('ACK', 1, route));
    const ack = await callees[0]!.next(is('ACK'));
    expect(ack.header('route')).toEqual([]);
    expect(ack.startLine).toBe(`ACK ${targets()[0]!} SIP/2.0`);
    caller.peer.send(inside('INVITE', 2, route));
    reply(callees[0]!, await callees[0]!.next(is('INVITE')), '488 Not Acceptable Here');
    expect((await caller.peer.final()).status).toBe(488);
    callees[0]!.send(
      [
        `BYE sip:caller@127.0.0.1:${caller.peer.port} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${callees[0]!.port};branch=z9hG4bK-bye;rport`,
        `Route: ${route}`,
        `From: ${ok.header('to')[0]!}`,
        `To: ${ok.header('from')[0]!}`,
        `Call-ID: ${caller.callId}`,
        'CSeq: 7 BYE',
        'Max-Forwards: 70',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    const bye = await caller.peer.next(is('BYE'));
    expect(bye.header('route')).toEqual([]);
    reply(caller.peer, bye, '200 OK');
    expect((await callees[0]!.final()).header('cseq')).toEqual(['7 BYE']);
    caller.peer.send(inside('INFO', 3, route));
    expect((await caller.peer.final()).status).toBe(481);
  });

  it('carries a PRACK and an UPDATE before the answer, and repeated reliable responses', async () => {
    await proxying({ remainInDialog: true }, [targets()[0]!]);
    const callee = callees[0]!;
    caller.peer.send(request('INVITE', 1, { body: SDP, headers: ['Supported: 100rel'] }));
    const invite = await callee.next(is('INVITE'));
    expect(invite.header('supported')).toEqual(['100rel']);
    const ringing = (): void =>
      reply(callee, invite, '183 Session Progress', ['Require: 100rel', 'RSeq: 7'], SDP);
    const isReliable = ({ status, header }: HeardMessage): boolean =>
      status === 183 && header('rseq')[0] === '7' && header('require')[0] === '100rel';
    ringing();
    const progress = await caller.peer.next(isReliable);
    ringing();
    await caller.peer.next(isReliable);
    caller.learn(progress);
    const route = progress.header('record-route')[0]!;
    const rack = 'RAck: 7 1 INVITE';
    caller.peer.send(inside('PRACK', 2, route, [rack]));
    const prack = await callee.next(is('PRACK'));
    expect(prack.header('rack')).toEqual(['7 1 INVITE']);
    expect(prack.header('route')).toEqual([]);
    reply(callee, prack, '200 OK');
    expect((await caller.peer.final()).header('cseq')).toEqual(['2 PRACK']);
    caller.peer.send(inside('UPDATE', 3, route));
    reply(callee, await callee.next(is('UPDATE')), '200 OK');
    expect((await caller.peer.final()).header('cseq')).toEqual(['3 UPDATE']);
    reply(callee, invite, '200 OK');
    expect((await caller.peer.final()).header('cseq')).toEqual(['1 INVITE']);
    caller.peer.send(inside('ACK', 1, route));
    await callee.next(is('ACK'));
  });

  it('is counted, in a table that forgets the oldest beyond its bound', async () => {
    await server.stop();
    server = await testServer({ limits: { maxDialogs: 2 } });
    const { port } = addressOf(server, 'udp');
    const peers = [
      await SipPeer.udp({ host: '127.0.0.1', port }),
      await SipPeer.udp({ host: '127.0.0.1', port }),
    ];
    const [from, to] = peers as [SipPeer, SipPeer];
    await proxying({ remainInDialog: true }, [`sip:callee@127.0.0.1:${to.port}`]);
    for (let call = 1; call <= 3; call++) {
      const invite = new Caller(from).request('INVITE', 1, { body: SDP });
      from.send(invite.replace(/^(\S+) \S+/, `$1 sip:gateway@127.0.0.1:${port}`));
      reply(to, await to.next(is('INVITE')), '200 OK', [], SDP);
      await from.final();
      const left = { proxiedDialogs: Math.min(call, 2), droppedProxiedDialogs: Math.max(0, call - 2) };
      expect(server.counters()).toMatchObject(left);
    }
    for (const peer of peers) peer.close();
  });

  it('forwards nothing for a dialog that it does not know', async () => {
    const { route } = await connected();
    const stranger = new Caller(caller.peer);
    stranger.toTag = 'made-up';
    caller = stranger;
    caller.peer.send(inside('BYE', 1, route));
    expect((await caller.peer.final()).status).toBe(481);
    expect(callees[0]!.heard.filter(is('BYE'))).toEqual([]);
  });

  it('carries the NOTIFYs of a subscription, also one before its answer', async () => {
    await proxying({ remainInDialog: true }, [targets()[0]!]);
    caller.peer.send(request('SUBSCRIBE', 1, { headers: ['Event: presence', 'Expires: 60'] }));
    const subscribe = await callees[0]!.next(is('SUBSCRIBE'));
    callees[0]!.send(
      [
        `NOTIFY sip:caller@127.0.0.1:${caller.peer.port} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${callees[0]!.port};branch=z9hG4bK-notify;rport`,
        `Route: ${subscribe.header('record-route')[0]!}`,
        `From: ${subscribe.header('to')[0]!};tag=callee-${callees[0]!.port}`,
        `To: ${subscribe.header('from')[0]!}`,
        `Call-ID: ${caller.callId}`,
        'CSeq: 1 NOTIFY',
        'Event: presence',
        'Subscription-State: active',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    reply(caller.peer, await caller.peer.next(is('NOTIFY')), '200 OK');
    expect((await callees[0]!.final()).header('cseq')).toEqual(['1 NOTIFY']);
    reply(callees[0]!, subscribe, '202 Accepted');
    expect((await caller.peer.next(({ status }) => status === 202)).header('cseq')).toEqual(['1 SUBSCRIBE']);
  });
});

describe('other requests', () => {
  it('are proxied like an INVITE', async () => {
    const { outcome } = await proxying({}, [targets()[0]!]);
    caller.peer.send(request('MESSAGE', 1));
    reply(callees[0]!, await callees[0]!.next(is('MESSAGE')), '200 OK');
    expect((await caller.peer.final()).header('cseq')).toEqual(['1 MESSAGE']);
    expect(await outcome).toMatchObject({ connected: true });
  });

  it('leave a Path in a registration', async () => {
    await proxying({ remainInDialog: true }, [targets()[0]!]);
    caller.peer.send(request('REGISTER', 1));
    const register = await callees[0]!.next(is('REGISTER'));
    expect(register.header('path')).toEqual([`<sip:127.0.0.1:${addressOf(server, 'udp').port};lr>`]);
    reply(callees[0]!, register, '200 OK');
    await caller.peer.final();
  });

  it('keep the Request-URI of another domain, and are refused when they come back here', async () => {
    await proxying({}, [`sip:127.0.0.1:${addressOf(server, 'tcp').port};transport=tcp`]);
    caller.peer.send(caller.request('MESSAGE', 1));
    expect((await caller.peer.final()).status).toBe(482);
  });
});

describe('between UDP and TCP', () => {
  it('leaves a route that either side can use', async () => {
    const accepted = deferred<SipPeer>();
    const listener = createServer((socket) => accepted.resolve(SipPeer.stream(socket)));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const target = `sip:callee@127.0.0.1:${(listener.address() as AddressInfo).port};transport=tcp`;
    await proxying({ remainInDialog: true }, [target]);
    caller.peer.send(request('INVITE', 1, { body: SDP }));
    const callee = await accepted.promise;
    const invite = await callee.next(is('INVITE'));
    const { port } = addressOf(server, 'udp');
    const routes = [`<sip:127.0.0.1:${port};transport=tcp;lr>`, `<sip:127.0.0.1:${port};lr>`];
    expect(invite.header('record-route')).toEqual(routes);
    reply(callee, invite, '200 OK', [], SDP);
    caller.learn(await caller.peer.final());
    const ack = caller.request('ACK', 1, {
      headers: [...routes].reverse().map((route) => `Route: ${route}`),
    });
    caller.peer.send(ack.replace(/^(\S+) \S+/, `$1 ${target}`));
    expect((await callee.next(is('ACK'))).header('route')).toEqual([]);
    callee.close();
    listener.close();
  });
});
