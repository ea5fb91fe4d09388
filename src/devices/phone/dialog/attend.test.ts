import { describe, expect, it, vi } from 'vitest';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { createPhoneApp } from '../index.js';
import { FakeDialog, FakeGate, FakeRequest, FakeSrf, recordingLog, VALID_TOKEN } from '../testing/fakes.js';

const PHONE = 'SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK1;rport=4711;received=203.0.113.5';
const PROXY = 'SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2';

function from(address: string, headers: Record<string, string> = {}, method = 'INVITE'): FakeRequest {
  return new FakeRequest(method, { from: address, headers: { via: PHONE, ...headers }, body: 'offer' });
}

describe('the media plane', () => {
  /** A call with a 200, but without ACK. */
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

  it('is told of an ACK before it gets the answer in it', async () => {
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

  it('is told where the target of a transfer answers from, and then nothing about the first phone', async () => {
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
});
