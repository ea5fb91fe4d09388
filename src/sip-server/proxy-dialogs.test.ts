import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProxyScene, reply } from '../../test/support/proxy-scene.js';
import { Caller, isRequest, SDP, SipPeer, type HeardMessage } from '../../test/support/sip-peer.js';
import { addressOf, deferred } from '../../test/support/sip-server.js';

let scene: ProxyScene;

beforeEach(async () => {
  scene = await ProxyScene.start();
});
afterEach(() => scene.stop());

describe('a dialog that the proxy stays in', () => {
  async function connected(): Promise<{ route: string; ok: HeardMessage }> {
    await scene.proxying({ remainInDialog: true }, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const invite = await scene.callees[0]!.next(isRequest('INVITE'));
    const route = invite.header('record-route')[0]!;
    expect(route).toBe(`<sip:127.0.0.1:${addressOf(scene.server, 'udp').port};lr>`);
    reply(scene.callees[0]!, invite, '200 OK', [], SDP);
    const ok = await scene.caller.peer.final();
    scene.caller.learn(ok);
    return { route, ok };
  }

  /** A request of the caller's in the dialog, by the recorded route. */
  function inside(method: string, cseq: number, route: string, headers: string[] = []): string {
    return scene.caller
      .request(method, cseq, { headers: [`Route: ${route}`, ...headers] })
      .replace(/^(\S+) \S+/, `$1 ${scene.targets()[0]!}`);
  }

  it('carries ACK, re-INVITE and BYE from either side', async () => {
    const { route, ok } = await connected();
    scene.caller.peer.send(inside('ACK', 1, route));
    const ack = await scene.callees[0]!.next(isRequest('ACK'));
    expect(ack.header('route')).toEqual([]);
    expect(ack.startLine).toBe(`ACK ${scene.targets()[0]!} SIP/2.0`);
    scene.caller.peer.send(inside('INVITE', 2, route));
    reply(scene.callees[0]!, await scene.callees[0]!.next(isRequest('INVITE')), '488 Not Acceptable Here');
    expect((await scene.caller.peer.final()).status).toBe(488);
    scene.callees[0]!.send(
      [
        `BYE sip:caller@127.0.0.1:${scene.caller.peer.port} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${scene.callees[0]!.port};branch=z9hG4bK-bye;rport`,
        `Route: ${route}`,
        `From: ${ok.header('to')[0]!}`,
        `To: ${ok.header('from')[0]!}`,
        `Call-ID: ${scene.caller.callId}`,
        'CSeq: 7 BYE',
        'Max-Forwards: 70',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    const bye = await scene.caller.peer.next(isRequest('BYE'));
    expect(bye.header('route')).toEqual([]);
    reply(scene.caller.peer, bye, '200 OK');
    expect((await scene.callees[0]!.final()).header('cseq')).toEqual(['7 BYE']);
    scene.caller.peer.send(inside('INFO', 3, route));
    expect((await scene.caller.peer.final()).status).toBe(481);
  });

  it('carries a PRACK and an UPDATE before the answer, and repeated reliable responses', async () => {
    await scene.proxying({ remainInDialog: true }, [scene.targets()[0]!]);
    const callee = scene.callees[0]!;
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP, headers: ['Supported: 100rel'] }));
    const invite = await callee.next(isRequest('INVITE'));
    expect(invite.header('supported')).toEqual(['100rel']);
    const ringing = (): void =>
      reply(callee, invite, '183 Session Progress', ['Require: 100rel', 'RSeq: 7'], SDP);
    const isReliable = ({ status, header }: HeardMessage): boolean =>
      status === 183 && header('rseq')[0] === '7' && header('require')[0] === '100rel';
    ringing();
    const progress = await scene.caller.peer.next(isReliable);
    ringing();
    await scene.caller.peer.next(isReliable);
    scene.caller.learn(progress);
    const route = progress.header('record-route')[0]!;
    const rack = 'RAck: 7 1 INVITE';
    scene.caller.peer.send(inside('PRACK', 2, route, [rack]));
    const prack = await callee.next(isRequest('PRACK'));
    expect(prack.header('rack')).toEqual(['7 1 INVITE']);
    expect(prack.header('route')).toEqual([]);
    reply(callee, prack, '200 OK');
    expect((await scene.caller.peer.final()).header('cseq')).toEqual(['2 PRACK']);
    scene.caller.peer.send(inside('UPDATE', 3, route));
    reply(callee, await callee.next(isRequest('UPDATE')), '200 OK');
    expect((await scene.caller.peer.final()).header('cseq')).toEqual(['3 UPDATE']);
    reply(callee, invite, '200 OK');
    expect((await scene.caller.peer.final()).header('cseq')).toEqual(['1 INVITE']);
    scene.caller.peer.send(inside('ACK', 1, route));
    await callee.next(isRequest('ACK'));
  });

  it('is counted, in a table that forgets the oldest beyond its bound', async () => {
    await scene.stop();
    scene = await ProxyScene.start({ limits: { maxDialogs: 2 } });
    const { port } = addressOf(scene.server, 'udp');
    const peers = [
      await SipPeer.udp({ host: '127.0.0.1', port }),
      await SipPeer.udp({ host: '127.0.0.1', port }),
    ];
    const [from, to] = peers as [SipPeer, SipPeer];
    await scene.proxying({ remainInDialog: true }, [`sip:callee@127.0.0.1:${to.port}`]);
    for (let call = 1; call <= 3; call++) {
      const invite = new Caller(from).request('INVITE', 1, { body: SDP });
      from.send(invite.replace(/^(\S+) \S+/, `$1 sip:gateway@127.0.0.1:${port}`));
      reply(to, await to.next(isRequest('INVITE')), '200 OK', [], SDP);
      await from.final();
      const left = { proxiedDialogs: Math.min(call, 2), droppedProxiedDialogs: Math.max(0, call - 2) };
      expect(scene.server.counters()).toMatchObject(left);
    }
    for (const peer of peers) peer.close();
  });

  it('forwards nothing for a dialog that it does not know', async () => {
    const { route } = await connected();
    const stranger = new Caller(scene.caller.peer);
    stranger.toTag = 'made-up';
    scene.caller = stranger;
    scene.caller.peer.send(inside('BYE', 1, route));
    expect((await scene.caller.peer.final()).status).toBe(481);
    expect(scene.callees[0]!.heard.filter(isRequest('BYE'))).toEqual([]);
  });

  it('carries the NOTIFYs of a subscription, also one before its answer', async () => {
    await scene.proxying({ remainInDialog: true }, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('SUBSCRIBE', 1, { headers: ['Event: presence', 'Expires: 60'] }));
    const subscribe = await scene.callees[0]!.next(isRequest('SUBSCRIBE'));
    scene.callees[0]!.send(
      [
        `NOTIFY sip:caller@127.0.0.1:${scene.caller.peer.port} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${scene.callees[0]!.port};branch=z9hG4bK-notify;rport`,
        `Route: ${subscribe.header('record-route')[0]!}`,
        `From: ${subscribe.header('to')[0]!};tag=callee-${scene.callees[0]!.port}`,
        `To: ${subscribe.header('from')[0]!}`,
        `Call-ID: ${scene.caller.callId}`,
        'CSeq: 1 NOTIFY',
        'Event: presence',
        'Subscription-State: active',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    reply(scene.caller.peer, await scene.caller.peer.next(isRequest('NOTIFY')), '200 OK');
    expect((await scene.callees[0]!.final()).header('cseq')).toEqual(['1 NOTIFY']);
    reply(scene.callees[0]!, subscribe, '202 Accepted');
    expect((await scene.caller.peer.next(({ status }) => status === 202)).header('cseq')).toEqual([
      '1 SUBSCRIBE',
    ]);
  });
});

describe('between UDP and TCP', () => {
  it('leaves a route that either side can use', async () => {
    const accepted = deferred<SipPeer>();
    const listener = createServer((socket) => accepted.resolve(SipPeer.stream(socket)));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const target = `sip:callee@127.0.0.1:${(listener.address() as AddressInfo).port};transport=tcp`;
    await scene.proxying({ remainInDialog: true }, [target]);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const callee = await accepted.promise;
    const invite = await callee.next(isRequest('INVITE'));
    const { port } = addressOf(scene.server, 'udp');
    const routes = [`<sip:127.0.0.1:${port};transport=tcp;lr>`, `<sip:127.0.0.1:${port};lr>`];
    expect(invite.header('record-route')).toEqual(routes);
    reply(callee, invite, '200 OK', [], SDP);
    scene.caller.learn(await scene.caller.peer.final());
    const ack = scene.caller.request('ACK', 1, {
      headers: [...routes].reverse().map((route) => `Route: ${route}`),
    });
    scene.caller.peer.send(ack.replace(/^(\S+) \S+/, `$1 ${target}`));
    expect((await callee.next(isRequest('ACK'))).header('route')).toEqual([]);
    callee.close();
    listener.close();
  });
});
