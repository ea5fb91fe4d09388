import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProxyScene, reply } from '../../test/support/proxy-scene.js';
import { Caller, isRequest, SDP } from '../../test/support/sip-peer.js';
import { addressOf } from '../../test/support/sip-server.js';

let scene: ProxyScene;

beforeEach(async () => {
  scene = await ProxyScene.start();
});
afterEach(() => scene.stop());

describe('a proxied INVITE', () => {
  it('goes to the next target after a refusal, and the application sees all answers', async () => {
    const { outcome } = await scene.proxying({});
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP, headers: ['X-Kept: as it is'] }));
    const first = await scene.callees[0]!.next(isRequest('INVITE'));
    expect(first.startLine).toBe(`INVITE ${scene.targets()[0]!} SIP/2.0`);
    expect(first.header('max-forwards')).toEqual(['69']);
    expect(first.header('x-kept')).toEqual(['as it is']);
    expect(first.header('via')).toHaveLength(2);
    expect(first.header('record-route')).toEqual([]);
    expect(first.body).toBe(SDP);
    reply(scene.callees[0]!, first, '486 Busy Here');
    await scene.callees[0]!.next(isRequest('ACK'));
    const second = await scene.callees[1]!.next(isRequest('INVITE'));
    reply(scene.callees[1]!, second, '180 Ringing');
    const ringing = await scene.caller.peer.next(({ status }) => status > 100);
    expect(ringing.status).toBe(180);
    expect(ringing.header('via')).toHaveLength(1);
    reply(scene.callees[1]!, second, '200 OK', [], SDP);
    expect((await scene.caller.peer.final()).body).toBe(SDP);
    const results = await outcome;
    expect(results).toMatchObject({ connected: true, finalStatus: 200 });
    expect(results.responses.flatMap(({ msgs }) => msgs.map(({ status }) => status))).toEqual([486, 200]);
  });

  it('rings all targets at once, passes the first 200 and cancels the rest', async () => {
    const { outcome } = await scene.proxying({ forking: 'simultaneous' });
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(scene.callees.map((callee) => callee.next(isRequest('INVITE'))));
    reply(scene.callees[0]!, invites[0]!, '180 Ringing');
    reply(scene.callees[1]!, invites[1]!, '200 OK', [], SDP);
    expect((await scene.caller.peer.final()).header('to')[0]).toContain(`callee-${scene.callees[1]!.port}`);
    const cancel = await scene.callees[0]!.next(isRequest('CANCEL'));
    expect(cancel.header('via')).toEqual([invites[0]!.header('via')[0]]);
    reply(scene.callees[0]!, cancel, '200 OK');
    reply(scene.callees[0]!, invites[0]!, '487 Request Terminated');
    await scene.callees[0]!.next(isRequest('ACK'));
    expect(await outcome).toMatchObject({ connected: true });
  });

  it('passes a second 200 too, as both phones are in a call then', async () => {
    await scene.proxying({ forking: 'simultaneous' });
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(scene.callees.map((callee) => callee.next(isRequest('INVITE'))));
    scene.callees.forEach((callee, index) => reply(callee, invites[index]!, '200 OK', [], SDP));
    const tags = [await scene.caller.peer.final(), await scene.caller.peer.final()].map(
      (ok) => ok.header('to')[0],
    );
    expect(new Set(tags).size).toBe(2);
  });

  it('brings back the best of several refusals, with all challenges', async () => {
    const { outcome } = await scene.proxying({ forking: 'simultaneous' });
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(scene.callees.map((callee) => callee.next(isRequest('INVITE'))));
    reply(scene.callees[0]!, invites[0]!, '407 Proxy Authentication Required', [
      'Proxy-Authenticate: Digest realm="a"',
    ]);
    reply(scene.callees[1]!, invites[1]!, '401 Unauthorized', ['WWW-Authenticate: Digest realm="b"']);
    const refusal = await scene.caller.peer.final();
    expect(refusal.text).toContain('realm="a"');
    expect(refusal.text).toContain('realm="b"');
    expect(await outcome).toMatchObject({ connected: false });
  });

  it('ends with a 6xx at once and tells the other target', async () => {
    await scene.proxying({ forking: 'simultaneous' });
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const invites = await Promise.all(scene.callees.map((callee) => callee.next(isRequest('INVITE'))));
    reply(scene.callees[0]!, invites[0]!, '180 Ringing');
    reply(scene.callees[1]!, invites[1]!, '603 Decline');
    reply(scene.callees[0]!, await scene.callees[0]!.next(isRequest('CANCEL')), '200 OK');
    reply(scene.callees[0]!, invites[0]!, '487 Request Terminated');
    expect((await scene.caller.peer.final()).status).toBe(603);
  });

  it('follows a redirection when asked, and passes it on when not', async () => {
    await scene.proxying({ followRedirects: true }, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    const moved = await scene.callees[0]!.next(isRequest('INVITE'));
    reply(scene.callees[0]!, moved, '302 Moved', [`Contact: <${scene.targets()[1]!}>`]);
    const followed = await scene.callees[1]!.next(isRequest('INVITE'));
    expect(followed.startLine).toContain(scene.targets()[1]!);
    reply(scene.callees[1]!, followed, '404 Not Found');
    expect((await scene.caller.peer.final()).status).toBe(404);
    await scene.proxying({}, [scene.targets()[0]!]);
    scene.caller = new Caller(scene.caller.peer);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    reply(scene.callees[0]!, await scene.callees[0]!.next(isRequest('INVITE')), '302 Moved', [
      `Contact: <${scene.targets()[1]!}>`,
    ]);
    expect((await scene.caller.peer.final()).status).toBe(302);
  });

  it('is cancelled with its targets, whose answer goes back', async () => {
    const { outcome } = await scene.proxying({}, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-cancelled' }));
    const invite = await scene.callees[0]!.next(isRequest('INVITE'));
    scene.caller.peer.send(scene.request('CANCEL', 1, { branch: 'z9hG4bK-cancelled' }));
    expect((await scene.caller.peer.final()).header('cseq')).toEqual(['1 CANCEL']);
    // The target has not answered: it is told once it has.
    reply(scene.callees[0]!, invite, '180 Ringing');
    reply(scene.callees[0]!, await scene.callees[0]!.next(isRequest('CANCEL')), '200 OK');
    reply(scene.callees[0]!, invite, '487 Request Terminated');
    expect(await scene.caller.peer.final()).toMatchObject({ status: 487 });
    expect(await outcome).toMatchObject({ connected: false, finalStatus: 487 });
  });

  it('gives up a target that rings too long, or does not answer at all', async () => {
    await scene.proxying({ provisionalTimeout: '100ms', finalTimeout: '200ms' });
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    await scene.callees[0]!.next(isRequest('INVITE'));
    const second = await scene.callees[1]!.next(isRequest('INVITE'));
    reply(scene.callees[1]!, second, '180 Ringing');
    await scene.callees[1]!.next(isRequest('CANCEL'));
    expect((await scene.caller.peer.final()).status).toBe(408);
  });

  it('is refused when its hops are used up or no target is a URI', async () => {
    await scene.proxying({}, ['sip:']);
    scene.caller.peer.send(scene.request('INVITE', 1, { body: SDP }));
    expect((await scene.caller.peer.final()).status).toBe(500);
    scene.caller = new Caller(scene.caller.peer);
    scene.caller.peer.send(
      scene.request('INVITE', 1, { body: SDP }).replace('Max-Forwards: 70', 'Max-Forwards: 0'),
    );
    expect((await scene.caller.peer.final()).status).toBe(483);
  });
});

describe('other requests', () => {
  it('are proxied like an INVITE', async () => {
    const { outcome } = await scene.proxying({}, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('MESSAGE', 1));
    reply(scene.callees[0]!, await scene.callees[0]!.next(isRequest('MESSAGE')), '200 OK');
    expect((await scene.caller.peer.final()).header('cseq')).toEqual(['1 MESSAGE']);
    expect(await outcome).toMatchObject({ connected: true });
  });

  it('leave a Path in a registration', async () => {
    await scene.proxying({ remainInDialog: true }, [scene.targets()[0]!]);
    scene.caller.peer.send(scene.request('REGISTER', 1));
    const register = await scene.callees[0]!.next(isRequest('REGISTER'));
    expect(register.header('path')).toEqual([`<sip:127.0.0.1:${addressOf(scene.server, 'udp').port};lr>`]);
    reply(scene.callees[0]!, register, '200 OK');
    await scene.caller.peer.final();
  });

  it('keep the Request-URI of another domain, and are refused when they come back here', async () => {
    await scene.proxying({}, [`sip:127.0.0.1:${addressOf(scene.server, 'tcp').port};transport=tcp`]);
    scene.caller.peer.send(scene.caller.request('MESSAGE', 1));
    expect((await scene.caller.peer.final()).status).toBe(482);
  });
});
