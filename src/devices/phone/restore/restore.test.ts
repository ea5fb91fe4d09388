import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeRequest } from '../testing/fakes.js';
import { connectCall, startApp, type Started } from '../testing/phone-app.js';
import { FakeCalls, turn, noteIn, recordIn, restart, goOn, receive, byesOf } from './testing/next-gateway.js';

afterEach(() => void vi.useRealTimers());

describe('a call whose gateway died', () => {
  it('is the same device of the same participant, publishes, and is told nothing', async () => {
    const before = startApp();
    await connectCall(before);
    const { info } = before.gate.devices.get('alice')!;
    const { connectedAt } = await recordIn(before);
    const after = await restart(before);
    expect(after.gate.devices.get('alice')?.info).toEqual(info);
    expect(after.gate.connects).toEqual([
      ['alice', { replace: false, carriedSince: connectedAt, held: false }],
    ]);
    expect(after.gate.published.get('alice')).toEqual([{ streamId: 'carried', mediaTypes: ['audio'] }]);
    expect(after.app.callCount).toBe(1);
    await vi.waitFor(() => expect(after.media.present).toEqual([info.id]));
    expect(after.media.carried()).toEqual([]);
    // drachtio-server, which does not pass on its BYE, is asked about it.
    expect(after.srf.agent.requests.map(({ method }) => method)).toEqual(['OPTIONS']);
  });

  it('receives what it received before, until all devices are connected again', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before);
    const alice = after.gate.devices.get('alice')!;
    const stream = (streamId: string) => ({ streamId, participantId: 'bob', mediaTypes: ['audio'] as const });
    alice.deliver([stream('one')]);
    alice.deliver([stream('one'), stream('other')]);
    expect(after.media.deliveries()).toEqual([]);
    after.app.deliverAgain();
    const both = ['one', 'other'].map((streamId) => ({ streamId, kinds: ['audio'] }));
    expect(after.media.deliveries()).toEqual([both]);
    alice.deliver([]);
    expect(after.media.deliveries()).toEqual([both, []]);
  });

  it('ends by the phone’s BYE', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before);
    expect((await receive(after, new FakeRequest('BYE'))).final?.status).toBe(200);
    expect(after.gate.ends).toEqual(['left']);
    await vi.waitFor(() => expect(after.media.closed).toHaveLength(1));
    expect(byesOf(after)).toEqual([]);
    expect(after.app.callCount).toBe(0);
  });

  it('is hung up with the headers that were set before', async () => {
    const before = startApp();
    await connectCall(before);
    before.gate.devices.get('alice')!.capabilities.setByeHeaders!({ 'X-Result': 'kept' });
    const after = await restart(before);
    await after.app.stop();
    expect(after.srf.agent.sent('BYE')[0]?.headers).toMatchObject({ 'X-Result': 'kept' });
  });

  it('is kept though the core, in another gateway, answers later', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before, {
      change: ({ gate }) => {
        const participantOf = gate.participantOf.bind(gate);
        gate.participantOf = async (id) => {
          for (let turns = 0; turns < 3; turns += 1) await turn();
          return participantOf(id);
        };
      },
    });
    // An error here would have ended the process.
    expect(await recordIn(after)).toMatchObject({ participantId: 'alice' });
    expect(after.media.present).toHaveLength(1);
  });

  it('takes and sends digits', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before);
    const info = new FakeRequest('INFO', {
      body: 'Signal=5',
      headers: { 'content-type': 'application/dtmf-relay' },
    });
    expect((await receive(after, info)).final?.status).toBe(200);
    expect(after.gate.digits).toEqual(['5']);
    await after.gate.devices.get('alice')!.capabilities.sendDtmf!({ digits: '12' });
    expect(after.media.phones.dtmf.map(([, { digits }]) => digits)).toEqual(['12']);
  });

  it.each(['INVITE', 'UPDATE'])('is changed by the phone’s %s', async (method) => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before);
    after.media.phones.held = true;
    const changed = await receive(after, new FakeRequest(method, { body: 'on hold' }));
    expect(changed.final).toMatchObject({ status: 200, headers: { Contact: '<sip:gateway.example>' } });
    expect(after.media.phones.offers.at(-1)).toBe('on hold');
    expect(after.gate.holds).toEqual([true]);
  });

  it('that is on hold stays so, without another event', async () => {
    const before = startApp();
    before.media.phones.held = true;
    await connectCall(before);
    const after = await restart(before);
    expect(after.gate.connects[0]?.[1]).toMatchObject({ held: true });
    expect(after.gate.holds).toEqual([]);
  });

  it('lasts no longer than it may in all', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const before = startApp();
    await connectCall(before);
    await vi.advanceTimersByTimeAsync(50_000);
    const after = await restart(before, { maxCallMs: 60_000 });
    const { answeredAt } = await recordIn(before);
    await vi.advanceTimersByTimeAsync(answeredAt + 59_999 - Date.now());
    expect(after.gate.ends).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(after.gate.ends).toEqual(['max-duration']);
  });

  it('that is gone from the core gets BYE', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before, { change: ({ gate }) => gate.deleted.add('alice') });
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect(after.app.callCount).toBe(0);
    // The gateway closes what nobody adopted.
    expect(after.media.carried()).toHaveLength(1);
  });

  it('whose media were lost meanwhile gets BYE, and its media are closed', async () => {
    const before = startApp();
    await connectCall(before);
    const after = await restart(before, {
      change: ({ media }) => {
        const adopt = media.adoptPhone.bind(media);
        media.adoptPhone = (id, listener) => {
          const handle = adopt(id, listener);
          listener({ type: 'mediaLost', cause: 'timeout' });
          return handle;
        };
      },
    });
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect(after.gate.ends).toEqual(['media-timeout']);
    expect(after.media.closed).toHaveLength(1);
  });

  it('takes the answer in the ACK that our 200 with an offer awaited', async () => {
    const before = startApp();
    await connectCall(before, {}, '');
    expect((await recordIn(before)).exchange).toEqual({ awaitedCseq: 1, isFirst: true, owesOffer: false });
    const after = await restart(before);
    await receive(after, new FakeRequest('ACK', { body: 'the answer', headers: { cseq: '1 ACK' } }));
    await vi.waitFor(() => expect(after.media.answers).toEqual(['the answer']));
    expect(after.gate.published.get('alice')?.[0]?.streamId).toMatch(/^stream-/);
  });

  it('that nobody acknowledges and that sends no media gets BYE', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const before = startApp();
    before.srf.acknowledges = false;
    await connectCall(before);
    expect((await recordIn(before)).awaitsAck).toBe(true);
    const after = await restart(before);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(after.gate.ends).toEqual(['media-timeout']);
    await vi.advanceTimersByTimeAsync(22_000);
    expect(byesOf(after)).toHaveLength(1);
  });

  it('is offered again what it had not answered', async () => {
    const before = startApp();
    const dialog = await connectCall(before);
    dialog.answering = () => ({ status: 100 });
    before.media.emit(before.media.present[0]!, { type: 'renegotiate' });
    await vi.waitFor(() => expect(dialog.requests).toHaveLength(1));
    expect((await recordIn(before)).exchange.owesOffer).toBe(true);
    const after = await restart(before, {
      change: ({ srf }) => (srf.agent.answering = () => ({ status: 200, body: 'answer' })),
    });
    await vi.waitFor(() => expect(after.media.answers).toEqual(['answer']));
    expect(after.srf.agent.sent('INVITE')).toHaveLength(1);
    expect(after.gate.ends).toEqual([]);
  });

  it('is told that its transfer came to nothing', async () => {
    const before = startApp({ acceptTransfers: true });
    const dialog = await connectCall(before);
    dialog.receive('refer', new FakeRequest('REFER', { headers: { 'refer-to': '<sip:carol@127.0.0.1>' } }));
    await vi.waitFor(() => expect(before.srf.placed).toHaveLength(1));
    expect((await recordIn(before)).transferring).toBe(true);
    const after = await restart(before, { acceptTransfers: true });
    await vi.waitFor(() => expect(after.srf.agent.sent('NOTIFY')).toHaveLength(1));
    expect(after.srf.agent.sent('NOTIFY')[0]).toMatchObject({
      body: 'SIP/2.0 503 Service Unavailable\r\n',
      headers: { 'Subscription-State': 'terminated;reason=noresource' },
    });
    expect(after.app.callCount).toBe(1);
  });

  it('of another SIP server, and what cannot be read, is left alone', async () => {
    const before = startApp();
    await connectCall(before);
    const note = await noteIn(before);
    for (const other of [
      '',
      'no JSON',
      '{}',
      note.replace('"version":1', '"version":2'),
      note.replace('"server"', '"other"'),
    ]) {
      const after = startApp();
      after.media.carry({ kind: 'phone', deviceId: 'd', note: other, streams: [] });
      await goOn(after);
      expect(after.app.callCount).toBe(0);
      expect(after.media.carried()).toHaveLength(1);
    }
  });

  it('is kept by the next gateway as it was by the one before, whatever happened', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('change' as const), held: fc.boolean(), late: fc.boolean() }),
      fc.record({ do: fc.constant('headers' as const), value: fc.string({ maxLength: 5 }) }),
      fc.record({ do: fc.constant('heard' as const) }),
    );
    const start = fc.record({
      callerName: fc.stringMatching(/^[A-Za-z0-9é ]{0,10}$/),
      acknowledged: fc.boolean(),
      late: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(start, fc.array(step, { maxLength: 6 }), async (how, steps) => {
        const before = startApp();
        before.srf.acknowledges = how.acknowledged;
        const from = `"${how.callerName}" <sip:1@voice.example>;tag=theirs`;
        const dialog = await connectCall(before, { from }, how.late ? '' : 'offer');
        dialog.req.headers['from'] = from;
        before.gate.devices.get('alice')!.capabilities.setByeHeaders!({});
        for (const done of steps) {
          if (done.do === 'heard') before.media.emit(before.media.present[0]!, { type: 'heard' });
          else if (done.do === 'headers')
            before.gate.devices.get('alice')!.capabilities.setByeHeaders!({ 'X-Value': done.value });
          else {
            before.media.phones.held = done.held;
            const invite = new FakeRequest('INVITE', {
              body: done.late ? '' : 'again',
              headers: { cseq: '2 INVITE' },
            });
            dialog.receive('modify', invite);
            await vi.waitFor(() => expect(invite.final).toBeDefined());
          }
        }
        const known = await recordIn(before);
        const after = await restart(before);
        expect(await recordIn(after)).toEqual(known);
        for (const { gate } of [before, after]) gate.devices.get('alice')!.close('disconnected');
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe('a call whose gateway died before its BYE was answered', () => {
  /** Its gateway hangs up. @returns the calls in the store at that moment */
  async function hangUp(change: (started: Started) => void = () => undefined): Promise<FakeCalls> {
    const calls = new FakeCalls();
    const before = startApp({ calls });
    const dialog = await connectCall(before);
    const device = before.gate.devices.get('alice')!;
    device.capabilities.setByeHeaders!({ 'X-Result': 'kept' });
    let answer = (): void => undefined;
    vi.spyOn(dialog, 'destroy').mockImplementation((_options, done) => {
      answer = () => done(null);
    });
    change(before);
    device.close('disconnected');
    await turn();
    const left = new FakeCalls();
    for (const [id, document] of calls.rows) left.rows.set(id, document);
    expect(left.rows.size).toBe(1);
    answer();
    await vi.waitFor(() => expect(calls.rows.size).toBe(0));
    return left;
  }

  it('gets it from the next one, with the same headers, and nothing else', async () => {
    const calls = await hangUp();
    const after = startApp({ calls });
    await goOn(after, calls);
    await vi.waitFor(() => expect(after.srf.agent.sent('BYE')).toHaveLength(1));
    expect(after.srf.agent.sent('BYE')[0]?.headers).toMatchObject({
      'X-Result': 'kept',
      Reason: expect.stringContaining('The application ended the call.') as string,
    });
    expect([after.gate.connects, after.media.specs, after.app.callCount]).toEqual([[], [], 0]);
    await vi.waitFor(() => expect(calls.rows.size).toBe(0));
  });

  it('is not gone on with if its media host has not closed it yet', async () => {
    const note: string[] = [];
    const calls = await hangUp((before) => note.push(before.media.notes.at(-1)![1]));
    const after = startApp({ calls });
    const [deviceId] = calls.rows.keys();
    after.media.carry({ kind: 'phone', deviceId: deviceId!, note: note[0]!, streams: [] });
    await goOn(after, calls);
    await vi.waitFor(() => expect(after.srf.agent.sent('BYE')).toHaveLength(1));
    expect(after.gate.connects).toEqual([]);
    expect(after.media.carried()).toHaveLength(1);
  });
});
