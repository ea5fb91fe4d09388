import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Caller, type HeardMessage, isRequest, SDP } from '../../test/support/sip-peer.js';
import type { SavedDialog } from './index.js';
import { useRestartStage } from './testing/restart-stage.js';

const stage = useRestartStage();

const numberOf = (message: HeardMessage): number => Number.parseInt(message.header('cseq')[0]!, 10);

describe('what is kept of a dialog', () => {
  it('is there before the 200 is, and follows each change', async () => {
    let before = 0;
    stage.peer.send(stage.caller.request('INVITE', 1, { body: SDP }));
    const ok = await stage.peer.final();
    before = stage.kept.length;
    expect(before).toBeGreaterThan(0);
    const first = JSON.parse(stage.kept[0]!) as SavedDialog;
    expect(first).toMatchObject({
      remoteTag: stage.caller.fromTag,
      remoteSequence: 1,
      localSdp: SDP,
      tags: ['calls'],
    });
    const { head, hasSdp } = first.unacknowledged!;
    expect([head + SDP, hasSdp]).toEqual([ok.text, true]);
    stage.caller.learn(ok);
    await stage.acknowledge();
    stage.peer.send(stage.caller.request('INFO', 5, { headers: ['Allow: INVITE, ACK, BYE, UPDATE'] }));
    expect((await stage.peer.final()).status).toBe(200);
    expect(stage.lastSaved()).toMatchObject({ remoteSequence: 5, peerAllowsUpdate: true });
    const info = stage.send('INFO');
    const request = await stage.peer.next(isRequest('INFO'));
    expect(stage.lastSaved().localSequence).toBe(numberOf(request));
    stage.reply(request, '200 OK');
    await info;
    const moved = stage.caller
      .request('UPDATE', 6)
      .replace(/^Contact:.*$/m, 'Contact: <sip:moved@127.0.0.1:9>');
    stage.peer.send(moved);
    expect((await stage.peer.final()).status).toBe(200);
    expect(stage.lastSaved().remoteTarget).toBe('sip:moved@127.0.0.1:9');
  });

  it('is nothing for other dialogs than those of confirmed INVITEs, and for those that have ended', async () => {
    expect(stage.server.savedDialog('unknown')).toBeUndefined();
    await stage.call();
    const { id } = stage.lastSaved();
    await stage.acknowledge();
    stage.peer.send(stage.caller.request('BYE', 2));
    await stage.peer.final();
    expect(stage.server.savedDialog(id)).toBeUndefined();
  });
});

describe('a dialog of a process that died, over UDP', () => {
  it.each(['BYE', 'INFO', 'UPDATE', 'INVITE'])('takes %s of the phone', async (method) => {
    await stage.call();
    await stage.acknowledge();
    const { id } = stage.lastSaved();
    await stage.restart();
    stage.peer.send(stage.caller.request(method, 2, method === 'INVITE' ? { body: SDP } : {}));
    expect((await stage.peer.final()).status).toBe(200);
    expect(stage.heardByApp.map((request) => [request.method, request.stackDialogId])).toEqual([
      [method, id],
    ]);
    if (method === 'INVITE') {
      stage.peer.send(stage.caller.request('ACK', 2));
      await expect.poll(() => stage.heardByApp.at(-1)?.method).toBe('ACK');
    }
    expect(stage.server.counters().dialogs).toBe(method === 'BYE' ? 0 : 1);
  });

  it('keeps requests for its application until that has connected: none gets 481', async () => {
    await stage.call();
    await stage.acknowledge();
    await stage.restart({ connect: false });
    stage.peer.send(stage.caller.request('INFO', 2));
    stage.peer.send(stage.caller.request('UPDATE', 3));
    await expect.poll(() => stage.server.counters().requestsIn).toBe(2);
    await stage.connect();
    const finals = [await stage.peer.final(), await stage.peer.final()];
    expect(finals.map(({ status }) => status)).toEqual([200, 200]);
    expect(stage.heardByApp.map(({ method }) => method)).toEqual(['INFO', 'UPDATE']);
  });

  it('answers what the phone asked while nobody was there, when it asks again', async () => {
    await stage.call();
    await stage.acknowledge();
    const update = stage.caller.request('UPDATE', 2);
    await stage.restart({ during: () => stage.peer.send(update) });
    stage.peer.send(update);
    expect((await stage.peer.final()).status).toBe(200);
  });

  it('refuses requests that are older than those before', async () => {
    await stage.call();
    await stage.acknowledge();
    stage.peer.send(stage.caller.request('INFO', 9));
    await stage.peer.final();
    await stage.restart();
    stage.peer.send(stage.caller.request('INFO', 8));
    expect((await stage.peer.final()).status).toBe(500);
  });

  it.each(['BYE', 'INFO', 'INVITE'])('lets the application send %s, with a higher number', async (method) => {
    await stage.call();
    await stage.acknowledge();
    const info = stage.send('INFO');
    const earlier = await stage.peer.next(isRequest('INFO'));
    stage.reply(earlier, '200 OK');
    await info;
    await stage.restart();
    const sent = stage.send(method, method === 'INVITE' ? SDP : '');
    const request = await stage.peer.next(isRequest(method));
    expect(numberOf(request)).toBeGreaterThan(numberOf(earlier));
    expect(request.header('from')[0]).toBe(earlier.header('from')[0]);
    expect(request.header('to')[0]).toBe(earlier.header('to')[0]);
    stage.reply(request, '200 OK', [`Contact: <sip:caller@127.0.0.1:${stage.peer.port}>`]);
    if (method === 'INVITE')
      expect(numberOf(await stage.peer.next(isRequest('ACK')))).toBe(numberOf(request));
    expect((await sent).status).toBe(200);
  });

  it('survives as often as the process dies', async () => {
    await stage.call();
    await stage.acknowledge();
    await stage.restart();
    await stage.restart({ restored: [stage.lastSaved()] });
    stage.peer.send(stage.caller.request('BYE', 2));
    expect((await stage.peer.final()).status).toBe(200);
  });

  it('is hung up when its application does not come back', async () => {
    await stage.call();
    await stage.acknowledge();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    await stage.restart({ connect: false });
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await stage.peer.next(isRequest('BYE'))).header('reason')[0]).toContain(
      'application disconnected',
    );
    expect(stage.server.counters().dialogs).toBe(0);
  });

  it('that cannot be read gets 481, and hinders no other', async () => {
    await stage.call();
    await stage.acknowledge();
    await stage.restart({ restored: [{ ...stage.lastSaved(), callId: 7 }, 'text', stage.lastSaved()] });
    stage.peer.send(stage.caller.request('INFO', 2));
    expect((await stage.peer.final()).status).toBe(200);
    stage.peer.send(new Caller(stage.peer).request('BYE', 2).replace(/^(To:.*)$/m, '$1;tag=none'));
    expect((await stage.peer.final()).status).toBe(481);
  });

  it('has its re-INVITE acknowledged whose 200 comes only now, each time', async () => {
    await stage.call();
    await stage.acknowledge();
    void stage.send('INVITE', SDP);
    const invite = await stage.peer.next(isRequest('INVITE'));
    await stage.restart();
    const answer = (): void =>
      stage.reply(invite, '200 OK', [`Contact: <sip:moved@127.0.0.1:${stage.peer.port}>`]);
    answer();
    expect(numberOf(await stage.peer.next(isRequest('ACK')))).toBe(numberOf(invite));
    answer();
    expect(numberOf(await stage.peer.next(isRequest('ACK')))).toBe(numberOf(invite));
    expect(stage.lastSaved().remoteTarget).toContain('moved');
    expect(stage.server.counters().droppedStray).toBe(0);
  });
});

describe('a 200 that was not acknowledged when the process died', () => {
  it('is sent again: the phone that has it acknowledges it again, and the call goes on', async () => {
    const ok = await stage.call();
    await stage.restart({ during: () => stage.peer.send(stage.caller.request('ACK', 1)) });
    const again = await stage.peer.final();
    expect(again.text).toBe(ok.text);
    stage.peer.send(stage.caller.request('ACK', 1));
    await expect.poll(() => stage.heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(stage.lastSaved().unacknowledged).toBeUndefined();
    stage.peer.send(stage.caller.request('BYE', 2));
    expect((await stage.peer.final()).status).toBe(200);
  });

  it('reaches a phone that missed it and repeats its INVITE, which makes no second call', async () => {
    const invite = stage.caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-repeated' });
    stage.peer.send(invite);
    await stage.peer.final();
    await stage.restart({ during: () => stage.peer.send(invite) });
    stage.peer.send(invite);
    const ok = await stage.peer.final();
    stage.caller.learn(ok);
    stage.peer.send(invite);
    stage.peer.send(stage.caller.request('ACK', 1));
    await expect.poll(() => stage.heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(stage.server.counters().dialogs).toBe(1);
  });

  it('is given up after 64 T1, and the phone gets BYE', async () => {
    await stage.call();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    await stage.restart();
    await vi.advanceTimersByTimeAsync(32_000);
    expect((await stage.peer.next(isRequest('BYE'))).header('reason')[0]).toContain('ACK timeout');
    expect(stage.server.counters().dialogs).toBe(0);
  });
});

describe('a session timer of a process that died', () => {
  const ours = ['Session-Expires: 1800;refresher=uas', 'Supported: timer', 'Allow: INVITE, ACK, BYE, UPDATE'];
  const theirs = ['Session-Expires: 600;refresher=uac', 'Supported: timer'];

  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));

  async function callFor(headers: string[], beforeMs: number): Promise<void> {
    await stage.call(headers);
    await stage.acknowledge();
    await vi.advanceTimersByTimeAsync(beforeMs);
    // Nobody runs the timers while the process is gone.
    await stage.restart({ during: () => vi.advanceTimersByTimeAsync(2_000) });
  }

  it('is refreshed by us at half the interval, as agreed', async () => {
    await callFor(ours, 400_000);
    const sent = stage.server.counters().requestsOut;
    await vi.advanceTimersByTimeAsync(497_000);
    expect(stage.server.counters().requestsOut).toBe(sent);
    await vi.advanceTimersByTimeAsync(1_000);
    const update = await stage.peer.next(isRequest('UPDATE'));
    expect(update.header('session-expires')).toEqual(['1800;refresher=uac']);
    stage.reply(update, '200 OK', ['Session-Expires: 1800;refresher=uac']);
    await expect.poll(() => stage.server.counters().responsesIn).toBe(1);
    await vi.advanceTimersByTimeAsync(900_000);
    await stage.peer.next(isRequest('UPDATE'));
  });

  it('is refreshed at once when that came due meanwhile', async () => {
    await callFor(ours, 899_000);
    await vi.advanceTimersByTimeAsync(1);
    await stage.peer.next(isRequest('UPDATE'));
  });

  it('is refreshed by the phone', async () => {
    await callFor(theirs, 300_000);
    stage.peer.send(stage.caller.request('UPDATE', 2, { headers: theirs }));
    expect((await stage.peer.final()).header('session-expires')).toEqual(['600;refresher=uac']);
    await vi.advanceTimersByTimeAsync(500_000);
    expect(stage.server.counters().dialogs).toBe(1);
  });

  it('ends the call when the phone does not refresh it, but not before it had time to', async () => {
    await callFor(theirs, 567_000);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(stage.server.counters().dialogs).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await stage.peer.next(isRequest('BYE'))).header('reason')[0]).toContain('Session timer expired');
  });
});
