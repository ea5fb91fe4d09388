import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PhoneAppOptions } from '../options.js';
import { FakeRequest } from '../testing/fakes.js';
import { connectCall, startApp, type Started } from '../testing/phone-app.js';
import { takenCall } from './left-calls.js';
import { byesOf, FakeCalls, goOn, turn } from './testing/next-gateway.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** A call of gateway `one`, as it is in the store. */
async function storedCall(): Promise<{ readonly calls: FakeCalls; readonly before: Started }> {
  const calls = new FakeCalls();
  const before = startApp({ calls, gatewayId: 'one' });
  await connectCall(before);
  before.media.emit(before.media.present[0]!, { type: 'state', state: 'keys and all', host: 'host-1' });
  await turn();
  await vi.advanceTimersByTimeAsync(500);
  expect(calls.rows.size).toBe(1);
  return { calls, before };
}

/** Another gateway, which is connected with its SIP server. */
function start(options: Partial<PhoneAppOptions> = {}): Started {
  const started = startApp({ gatewayId: 'two', ...options });
  started.srf.app.client = started.srf.agent;
  started.app.sipServerUp();
  started.srf.agent.answering = ({ method }) =>
    method === 'INVITE' ? { status: 200, body: 'answer' } : { status: 200 };
  return started;
}

const taken = (calls: FakeCalls) => takenCall([...calls.rows.values()][0]!)!;

describe('a call of a gateway that is gone', () => {
  it('goes on as the same device, once its phone was offered where the media are now', async () => {
    const { calls, before } = await storedCall();
    const after = start({ calls });
    vi.setSystemTime(Date.now() + 6000);
    const stream = { streamId: 'one', participantId: 'bob', mediaTypes: ['audio'] as const };
    const connect = after.gate.connect.bind(after.gate);
    after.gate.connect = (participant, device, options) => {
      const connection = connect(participant, device, options);
      device.deliver([stream]);
      return connection;
    };
    expect(await after.app.takeOver(taken(calls))).toBe(true);
    expect(after.media.specs).toMatchObject([
      { kind: 'phone', restored: { state: 'keys and all', isElsewhere: true } },
    ]);
    expect(after.gate.devices.get('alice')?.info).toEqual(before.gate.devices.get('alice')?.info);
    expect(after.gate.connects).toMatchObject([['alice', { carriedSince: expect.any(Number) as number }]]);
    await vi.waitFor(() => expect(after.media.answers).toEqual(['answer']));
    expect(after.srf.agent.sent('INVITE')).toHaveLength(1);
    expect(after.media.deliveries()).toEqual([[{ streamId: 'one', kinds: ['audio'] }]]);
    // It is kept as its own from now on.
    after.media.emit(after.media.present[0]!, { type: 'state', state: 'other ports', host: 'host-2' });
    await vi.advanceTimersByTimeAsync(500);
    const note = JSON.parse([...calls.rows.values()][0]!) as { note: string };
    expect(note).toMatchObject({ state: 'other ports', host: 'host-2' });
    expect(JSON.parse(note.note)).toMatchObject({ gateway: 'two' });
    expect(after.gate.ends).toEqual([]);
  });

  it('is offered again what could not be sent when the lease of its gateway ran out', async () => {
    const { calls } = await storedCall();
    let granted = (): void => undefined;
    const lease = { isHeld: true, whenHeld: () => new Promise<void>((resolve) => (granted = resolve)) };
    const after = start({ calls, lease });
    const { answering } = after.srf.agent;
    after.srf.agent.answering = ({ method }) => {
      if (method !== 'INVITE') return { status: 200 };
      lease.isHeld = false;
      return Object.assign(new Error('another server may have the dialog'), { code: 'EDRACHTIO' });
    };
    await after.app.takeOver(taken(calls));
    await vi.waitFor(() => expect(after.srf.agent.sent('INVITE')).toHaveLength(1));
    await turn();
    after.srf.agent.answering = answering;
    lease.isHeld = true;
    granted();
    await vi.waitFor(() => expect(after.media.answers).toEqual(['answer']));
    expect([after.gate.ends, byesOf(after)]).toEqual([[], []]);
  });

  it('is hung up when its phone refuses to go on elsewhere', async () => {
    const { calls } = await storedCall();
    const after = start({ calls });
    after.srf.agent.answering = ({ method }) => ({ status: method === 'INVITE' ? 488 : 200 });
    await after.app.takeOver(taken(calls));
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect(after.gate.ends).toEqual(['error']);
    await vi.waitFor(() => expect(calls.rows.size).toBe(0));
  });

  it('gets BYE when the SIP server here does not know its dialog', async () => {
    const { calls } = await storedCall();
    const after = start({ calls });
    const unknown = Object.assign(new Error('unable to find dialog'), { code: 'ENODIALOG' });
    after.srf.agent.answering = () => unknown;
    await after.app.takeOver(taken(calls));
    await vi.waitFor(() => expect(after.gate.ends).toEqual(['lost']));
    // Outside of dialogs, with the headers of this one.
    await vi.waitFor(() => expect(after.srf.outside).toHaveLength(1));
    expect(after.srf.outside[0]).toMatchObject({ method: 'BYE', headers: { 'Call-ID': 'call-1' } });
    await vi.waitFor(() => expect(calls.rows.size).toBe(0));
  });

  it('is over when its phone knows it no more', async () => {
    const { calls } = await storedCall();
    const after = start({ calls });
    after.srf.agent.answering = () => ({ status: 481 });
    await after.app.takeOver(taken(calls));
    await vi.waitFor(() => expect(after.gate.ends).toEqual(['left']));
    expect(byesOf(after)).toEqual([]);
    expect(calls.rows.size).toBe(0);
  });

  it('is left alone when another SIP server has its dialog, or it is here already', async () => {
    const { calls } = await storedCall();
    const other = start({ sipServer: 'another', calls });
    expect(await other.app.takeOver(taken(calls))).toBe(false);
    expect(other.app.callCount).toBe(0);
    const after = start({ calls });
    expect(await after.app.takeOver(taken(calls))).toBe(true);
    expect(await after.app.takeOver(taken(calls))).toBe(false);
    expect(after.app.callCount).toBe(1);
  });

  it('whose media went through a FreeSWITCH gets BYE', async () => {
    const { calls } = await storedCall();
    const left = taken(calls);
    const freeswitch = { server: '127.0.0.1:8021' };
    const after = start({ calls });
    await after.app.takeOver({ ...left, record: { ...left.record, freeswitch } });
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect(after.gate.connects).toEqual([]);
    expect(calls.rows.size).toBe(0);
  });

  it('is taken over again when the gateway that did so died in the midst of it', async () => {
    const { calls } = await storedCall();
    const after = startApp({ gatewayId: 'two', calls });
    await goOn(after, calls, [], 'two');
    // It is not restored as its own.
    expect(after.media.specs).toEqual([]);
  });
});

describe('a call that another gateway has taken over', () => {
  it('ends without a word', async () => {
    const { before } = await storedCall();
    before.gate.devices.get('alice')!.capabilities.takenOver!();
    await vi.waitFor(() => expect(before.app.callCount).toBe(0));
    expect(before.srf.dialogs[0]!.requests).toEqual([]);
    expect(before.media.closed).toHaveLength(1);
  });

  it('gets no BYE that waited while the gateway was cut off', async () => {
    let goesOn = (): void => undefined;
    const lease = { isHeld: false, whenHeld: () => new Promise<void>((resolve) => (goesOn = resolve)) };
    const calls = new FakeCalls();
    const before = startApp({ calls, lease });
    const dialog = await connectCall(before);
    const { capabilities } = before.gate.devices.get('alice')!;
    before.gate.devices.get('alice')!.close('disconnected');
    await turn();
    expect(dialog.byes).toEqual([]);
    capabilities.takenOver!();
    lease.isHeld = true;
    goesOn();
    await turn();
    expect(dialog.byes).toEqual([]);
  });

  it('gets its BYE once the gateway is not cut off any more', async () => {
    let goesOn = (): void => undefined;
    const lease = { isHeld: false, whenHeld: () => new Promise<void>((resolve) => (goesOn = resolve)) };
    const before = startApp({ lease });
    const dialog = await connectCall(before);
    before.gate.devices.get('alice')!.close('disconnected');
    await turn();
    expect(dialog.byes).toEqual([]);
    dialog.receive('info', new FakeRequest('INFO'));
    lease.isHeld = true;
    goesOn();
    await vi.waitFor(() => expect(dialog.byes).toHaveLength(1));
  });
});
