import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_NOTE_BYTES } from '../../../media/door.js';
import { MediaError } from '../../../media/types.js';
import { FakeRequest, VALID_TOKEN } from '../testing/fakes.js';
import { answerTo, connectCall, invite, startApp, type Started } from '../testing/phone-app.js';
import { type CallRecord, noteOf, readCallRecord } from './call-record.js';
import { FakeCalls, turn, noteIn, recordIn, goOn, receive, byesOf } from './testing/next-gateway.js';

afterEach(() => void vi.useRealTimers());

const hear = (after: Started): Promise<void> => {
  after.media.emit(after.media.present[0]!, { type: 'heard' });
  return turn();
};

describe('a call whose gateway and media host died', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));

  async function connected(calls: FakeCalls): Promise<Started> {
    const app = startApp({ calls });
    await connectCall(app);
    await turn();
    return app;
  }

  async function storedCall(host?: string): Promise<FakeCalls> {
    const calls = new FakeCalls();
    const before = await connected(calls);
    await vi.advanceTimersByTimeAsync(500);
    // Without the state of its media it could not go on.
    expect(calls.rows.size).toBe(0);
    before.media.emit(before.media.present[0]!, {
      type: 'state',
      state: 'keys and all',
      ...(host !== undefined && { host }),
    });
    await vi.advanceTimersByTimeAsync(500);
    expect(calls.rows.size).toBe(1);
    return calls;
  }

  it('is stored soon after its beginning, and what changes later with what else changes', async () => {
    const calls = new FakeCalls();
    const { media } = await connected(calls);
    const [device] = media.present;
    media.emit(device!, { type: 'state', state: 'first' });
    await vi.advanceTimersByTimeAsync(99);
    expect(calls.rows.size).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    const [first] = [...calls.rows.values()];
    expect(first).toContain('first');
    media.emit(device!, { type: 'state', state: 'second' });
    await vi.advanceTimersByTimeAsync(499);
    expect([...calls.rows.values()]).toEqual([first]);
    await vi.advanceTimersByTimeAsync(1);
    expect([...calls.rows.values()][0]).toContain('second');
  });

  it('goes on with media restored from their state', async () => {
    const calls = await storedCall();
    vi.setSystemTime(Date.now() + 6500);
    const after = startApp({ calls });
    after.gate.events = ['speaking'];
    await goOn(after, calls);
    expect(after.media.specs).toMatchObject([
      {
        kind: 'phone',
        sessionId: 'session-of-alice',
        metersSpeech: true,
        restored: { state: 'keys and all', ageMs: 7000 },
      },
    ]);
    await vi.waitFor(() => expect(after.media.present).toHaveLength(1));
    expect(after.gate.connects[0]?.[0]).toBe('alice');
    await receive(after, new FakeRequest('BYE'));
    expect(after.gate.ends).toEqual(['left']);
    expect(calls.rows.size).toBe(0);
  });

  it('was over if its media host lives and carries it no more', async () => {
    const calls = await storedCall('host-1');
    const after = startApp({ calls });
    await goOn(after, calls, ['host-2', 'host-1']);
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect([after.media.specs, after.gate.connects]).toEqual([[], []]);
    await vi.waitFor(() => expect(calls.rows.size).toBe(0));
  });

  it('goes on if only other media hosts live', async () => {
    const calls = await storedCall('host-1');
    const after = startApp({ calls });
    await goOn(after, calls, ['host-2']);
    await vi.waitFor(() => expect(after.media.present).toHaveLength(1));
    expect(after.gate.connects[0]?.[0]).toBe('alice');
  });

  it('gets BYE when its media cannot be restored', async () => {
    const calls = await storedCall();
    const after = startApp({ calls });
    after.media.phones.failure = new MediaError('NO_PORT', 'The port is taken.');
    await goOn(after, calls);
    await vi.waitFor(() => expect(byesOf(after)).toHaveLength(1));
    expect(after.gate.ends).toEqual(['lost']);
    expect(calls.rows.size).toBe(0);
  });

  describe('and whose phone may have hung up before', () => {
    it('gives way to the next call of its participant', async () => {
      const calls = await storedCall();
      const after = startApp({ calls });
      await goOn(after, calls);
      await connectCall(after);
      expect(byesOf(after)).toEqual([expect.stringContaining('took the place of this call')]);
      expect(after.app.callCount).toBe(1);
    });

    it.each([
      ['its media come', hear],
      ['it sends a request', (after: Started) => receive(after, new FakeRequest('INFO')).then(turn)],
    ])('keeps its place once %s', async (_what, prove) => {
      const calls = await storedCall();
      const after = startApp({ calls });
      await goOn(after, calls);
      await vi.waitFor(() => expect(after.media.present).toHaveLength(1));
      await prove(after);
      expect(await answerTo(after, invite(VALID_TOKEN))).toMatchObject({ status: 486 });
      expect(byesOf(after)).toEqual([]);
    });
  });

  it('is stored by the next gateway if the one before had no time to', async () => {
    const before = startApp();
    await connectCall(before);
    const note = await noteIn(before);
    const [deviceId] = before.media.present as [string];
    const calls = new FakeCalls();
    const after = startApp({ calls });
    const media = { state: 'keys and all', stateAt: Date.now() - 3000, host: 'host-1' };
    after.media.carry({ kind: 'phone', deviceId, note, streams: [], ...media });
    await goOn(after, calls);
    await turn();
    await vi.advanceTimersByTimeAsync(500);
    expect(JSON.parse(calls.rows.get(deviceId)!)).toMatchObject(media);
    await receive(after, new FakeRequest('BYE'));
    expect(calls.rows.size).toBe(0);
  });

  it('is stored as it changes, and no longer than it lasts', async () => {
    const calls = new FakeCalls();
    const before = startApp({ calls });
    const dialog = await connectCall(before);
    before.media.emit(before.media.present[0]!, { type: 'state', state: 'first' });
    await turn();
    before.media.emit(before.media.present[0]!, { type: 'state', state: 'second' });
    before.gate.devices.get('alice')!.capabilities.setByeHeaders!({ 'X-Late': 'yes' });
    await turn();
    expect(calls.rows.size).toBe(0);
    await vi.advanceTimersByTimeAsync(500);
    const [document] = calls.rows.values();
    expect(document).toContain('second');
    expect(document).toContain('X-Late');
    dialog.emit('destroy', new FakeRequest('BYE'));
    expect(calls.rows.size).toBe(0);
  });

  it('is forgotten when it cannot be read, or its media host lives and has no such call', async () => {
    const calls = await storedCall();
    const [id] = calls.rows.keys();
    calls.rows.set('broken', '{');
    const after = startApp({ calls });
    after.media.carry({ kind: 'phone', deviceId: id!, note: '', streams: [] });
    await goOn(after, calls);
    expect(calls.rows.size).toBe(0);
    expect(after.app.callCount).toBe(0);
  });
});

describe('the note of a call', () => {
  async function record(): Promise<CallRecord> {
    const before = startApp();
    await connectCall(before);
    return recordIn(before);
  }

  it('leaves out what the call can go on without, until it is short enough', async () => {
    const usual = await record();
    const dialog = { ...usual.dialog, localSdp: 'v=0'.padEnd(1000, 'a') };
    const unacknowledged = { sequence: 1, hasSdp: true, head: 'x'.repeat(5000) };
    const headers = { 'X-Shown': 'y'.repeat(1000) };
    const routeSet = (bytes: number): string[] => ['<sip:proxy>'.padEnd(bytes)];
    const kept = (bytes: number): CallRecord | undefined => {
      const info = { ...usual.info, headers };
      const note = noteOf({
        ...usual,
        info,
        dialog: { ...dialog, unacknowledged, routeSet: routeSet(bytes) },
      });
      if (note === undefined) return undefined;
      expect(Buffer.byteLength(note)).toBeLessThanOrEqual(MAX_NOTE_BYTES);
      return readCallRecord(note);
    };
    expect(kept(10)?.dialog).toMatchObject({ unacknowledged, localSdp: dialog.localSdp });
    const second = kept(3000)!;
    expect([second.dialog.unacknowledged, second.info.headers]).toEqual([undefined, headers]);
    const third = kept(5800)!;
    expect([third.info.headers, third.dialog.localSdp]).toEqual([undefined, dialog.localSdp]);
    expect(kept(6900)!.dialog.localSdp).toBe('');
    expect(kept(9000)).toBeUndefined();
  });

  it('of a call that is too large is empty: it ends with its gateway', async () => {
    const before = startApp();
    const dialog = await connectCall(before);
    dialog.req.headers['record-route'] = '<sip:proxy>'.padEnd(9000);
    before.gate.devices.get('alice')!.capabilities.setByeHeaders!({ 'X-Late': 'yes' });
    expect(await noteIn(before)).toBe('');
    expect(before.lines.join('')).toContain('too large to be kept');
  });

  it('holds nothing of the INVITE but what the dialog is made of', async () => {
    const before = startApp();
    await connectCall(before, { 'x-secret': 'not for others', 'user-agent': 'phone' });
    expect(await noteIn(before)).not.toMatch(/not for others|eyJ/);
  });
});
