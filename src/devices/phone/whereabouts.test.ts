import { afterEach, describe, expect, it, vi } from 'vitest';
import { createPhoneApp } from './index.js';
import { sourceOf } from './sip.js';
import { FakeDialog, FakeGate, FakeRequest, FakeSrf, recordingLog, VALID_TOKEN } from './testing/fakes.js';
import { FakeMediaPlane } from '../../media/testing/fake-plane.js';

const PHONE = 'SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK1;rport=4711;received=203.0.113.5';
const PROXY = 'SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2';

function from(address: string, headers: Record<string, string> = {}, method = 'INVITE'): FakeRequest {
  return new FakeRequest(method, { from: address, headers: { via: PHONE, ...headers }, body: 'offer' });
}

describe('where a request came from', () => {
  it('is the phone itself when one hop brought it', () => {
    expect(sourceOf(from('203.0.113.5'))).toEqual({
      address: '203.0.113.5',
      isDirect: true,
      isConnection: false,
    });
  });

  it.each([
    ['with another hop in Via', { via: `${PROXY}, ${PHONE}` }],
    ['which recorded its route', { 'record-route': '<sip:198.51.100.1;lr>' }],
  ])('is a proxy %s', (_how, headers) => {
    expect(sourceOf(from('198.51.100.1', headers)).isDirect).toBe(false);
  });

  it('is told with its transport, and without the brackets of IPv6', () => {
    const request = Object.assign(from('[2001:db8::1]'), { protocol: 'tls' });
    expect(sourceOf(request)).toEqual({ address: '2001:db8::1', isDirect: true, isConnection: true });
  });
});

describe('the media plane', () => {
  afterEach(() => vi.useRealTimers());

  /** A call that has its 200, and no ACK. */
  async function unacknowledged() {
    const srf = new FakeSrf();
    srf.acknowledges = false;
    const gate = new FakeGate();
    const media = new FakeMediaPlane();
    createPhoneApp({ srf: srf.srf, gate, media, log: recordingLog().log, acceptTransfers: true });
    srf.receive(from('203.0.113.5', { 'user-to-user': `${VALID_TOKEN};encoding=jwt` }));
    await vi.waitFor(() => expect(srf.dialogs).toHaveLength(1));
    return { srf, gate, media, dialog: srf.dialogs[0]! };
  }

  it('is told where the INVITE came from, and then each request within the call', async () => {
    const { media, dialog } = await unacknowledged();
    const source = { address: '203.0.113.5', isDirect: true, isConnection: false };
    expect(media.specs.map((spec) => spec.kind === 'phone' && spec.source)).toEqual([source]);
    expect(media.specs[0]).toMatchObject({ sessionId: 'session-of-alice' });
    expect(media.phones.confirmed).toEqual([]);
    dialog.emit('ack', from('203.0.113.5', {}, 'ACK'));
    dialog.receive('modify', from('203.0.113.6', {}, 'INVITE'));
    dialog.receive('options', from('203.0.113.7', {}, 'OPTIONS'));
    const proxied = { via: `${PROXY}, ${PHONE}` };
    dialog.receive('info', from('198.51.100.1', proxied, 'INFO'));
    expect(media.phones.confirmed).toEqual([
      source,
      { ...source, address: '203.0.113.6' },
      { ...source, address: '203.0.113.7' },
      { ...source, address: '198.51.100.1', isDirect: false },
    ]);
  });

  it('is told of an ACK before it is given the answer in it', async () => {
    const { srf, gate, media } = await unacknowledged();
    gate.devices.clear();
    const headers = { 'user-to-user': `${VALID_TOKEN};encoding=jwt`, 'call-id': 'call-2' };
    srf.receive(new FakeRequest('INVITE', { headers }));
    await vi.waitFor(() => expect(srf.dialogs).toHaveLength(2));
    const known: number[] = [];
    const answerPhone = media.phones.answer.bind(media.phones);
    media.phones.answer = (...args) => {
      known.push(media.phones.confirmed.length);
      return answerPhone(...args);
    };
    srf.dialogs[1]!.emit('ack', new FakeRequest('ACK', { body: 'the answer' }));
    await vi.waitFor(() => expect(known).toEqual([1]));
  });

  it('is told where the target of a transfer answers from, and of the phone no more', async () => {
    const { srf, media, dialog } = await unacknowledged();
    const target = Object.assign(new FakeDialog(), { res: { source_address: '203.0.113.9' } });
    target.remote = { sdp: 'answer of the target' };
    srf.target = target;
    dialog.receive('refer', new FakeRequest('REFER', { headers: { 'refer-to': '<sip:bob@host>' } }));
    await vi.waitFor(() => expect(media.answers).toEqual(['answer of the target']));
    expect(media.phones.confirmed.at(-1)).toEqual({
      address: '203.0.113.9',
      isDirect: false,
      isConnection: false,
    });
    const known = media.phones.confirmed.length;
    dialog.receive('options', from('203.0.113.5', {}, 'OPTIONS'));
    expect(media.phones.confirmed).toHaveLength(known);
  });

  describe('frees a call without ACK', () => {
    async function tenSecondsLater(packetsReceived: number) {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const started = await unacknowledged();
      const [deviceId] = started.media.present;
      if (packetsReceived > 0) started.media.emit(deviceId!, { type: 'heard' });
      await vi.advanceTimersByTimeAsync(9_000);
      expect(started.media.present.length).toBe(1);
      await vi.advanceTimersByTimeAsync(1_000);
      return started;
    }

    it('after ten seconds, and the BYE waits for the ACK', async () => {
      const { gate, media, dialog } = await tenSecondsLater(0);
      expect(media.present.length).toBe(0);
      expect(gate.ends).toEqual(['media-timeout']);
      expect(dialog.byes).toEqual([]);
      dialog.emit('ack', from('203.0.113.5', {}, 'ACK'));
      await vi.advanceTimersByTimeAsync(0);
      expect(dialog.byes).toEqual(['SIP;cause=408;text="Neither an ACK nor media came."']);
    });

    it('but not one whose phone sends', async () => {
      const { media } = await tenSecondsLater(1);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(media.present.length).toBe(1);
    });

    it('but not one whose ACK comes', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const { media, dialog } = await unacknowledged();
      await vi.advanceTimersByTimeAsync(9_000);
      dialog.emit('ack', from('203.0.113.5', {}, 'ACK'));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(media.present.length).toBe(1);
    });
  });
});
