import { afterEach, describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../media/types.js';
import { endedOutcome } from './refusal.js';
import { FakeRequest, VALID_TOKEN } from './testing/fakes.js';
import { answerTo, connectCall, invite, startApp } from './testing/phone-app.js';

afterEach(() => vi.useRealTimers());

describe('a call', () => {
  it('sends digits and sets BYE headers for the core', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    const { info, capabilities } = started.gate.devices.get('alice')!;
    await capabilities.sendDtmf!({ digits: '12', gapMs: 80 });
    expect(started.media.phones.dtmf).toEqual([[info.id, { digits: '12', gapMs: 80 }]]);
    started.media.phones.failure = new MediaError('TOO_MANY_DIGITS', 'Too many digits.');
    const refused = capabilities.sendDtmf!({ digits: '3' });
    await expect(refused).rejects.toMatchObject({ code: 'PATCHBAY_TOO_MANY_REQUESTS', httpStatus: 429 });
    capabilities.setByeHeaders!({ 'X-Result': 'sold' });
    capabilities.setByeHeaders!({ 'X-Result': 'kept' });
    await started.app.stop();
    const bye = dialog.requests.find(({ method }) => method === 'BYE');
    expect(bye?.headers).toMatchObject({ 'X-Result': 'kept' });
    const late = capabilities.sendDtmf!({ digits: '4' });
    await expect(late).rejects.toMatchObject({ code: 'PATCHBAY_DEVICE_NOT_FOUND' });
  });

  it('gets a BYE and counts once when it ends before the SIP server confirms its 200', async () => {
    const started = startApp();
    const createUAS = started.srf.createUAS.bind(started.srf);
    let confirm = (): void => undefined;
    started.srf.createUAS = (...args) => void (confirm = (): void => createUAS(...args));
    started.srf.receive(invite(VALID_TOKEN));
    await vi.waitFor(() => expect(started.gate.devices.has('alice')).toBe(true));
    started.gate.devices.get('alice')!.close('disconnected');
    confirm();
    await vi.waitFor(() => expect(started.srf.dialogs[0]!.byes).toHaveLength(1));
    await vi.waitFor(() => expect(started.over).toEqual([endedOutcome('disconnected')]));
    expect(started.app.callCount).toBe(0);
  });

  it('is answered, published and gets deliveries', async () => {
    const started = startApp();
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer).toMatchObject({ status: 200, body: 'answer-1' });
    const device = started.gate.devices.get('alice')!;
    expect(device.info).toMatchObject({
      kind: 'phone',
      externalId: 'call-1',
      caller: '+15555550100',
      callerName: 'Ann',
    });
    expect(started.gate.published.get('alice')).toEqual([
      { streamId: `stream-${device.info.id}`, mediaTypes: ['audio'] },
    ]);
    device.deliver([
      { participantId: 'p', streamId: 's', mediaTypes: ['audio', 'video'] },
      { participantId: 'p', streamId: 'screen', mediaTypes: ['video'] },
    ]);
    expect(started.media.deliveries(device.info.id).at(-1)).toEqual([{ streamId: 's', kinds: ['audio'] }]);
  });

  it.each([
    ['if its application asked who speaks', ['speaking'] as const, true],
    ['unless its application asked who speaks', ['hold'] as const, false],
  ])('has its speech metered where nobody hears it only %s', async (_, events, metersSpeech) => {
    const started = startApp();
    started.gate.events = events;
    await answerTo(started, invite(VALID_TOKEN));
    expect(started.media.specs).toMatchObject([{ metersSpeech }]);
  });

  it('tells how its media are carried when it connects, and again when that changes', async () => {
    const started = startApp();
    started.media.phones.audio = { codec: 'PCMU', encryption: 'none' };
    await answerTo(started, invite(VALID_TOKEN));
    const format = (codec: string, encryption: string) => ({ codecs: [codec], encryption });
    const plain = format('PCMU', 'none');
    expect(started.gate.connectedWith.get('alice')).toEqual({ received: plain, sent: plain });
    const device = started.gate.devices.get('alice')!;

    // The phone sends another of the agreed codecs than we do (RFC 3264 section 7).
    started.media.phones.codec = 'G722';
    const stream = started.media.phones.stream(device.info.id);
    started.media.emit(device.info.id, { type: 'streams', streams: [stream] });
    expect(device.formats).toEqual({ received: format('G722', 'none'), sent: plain });

    started.media.phones.audio = { codec: 'opus', encryption: 'AES_CM_128_HMAC_SHA1_80' };
    started.media.phones.codec = 'opus';
    started.srf.dialogs[0]!.receive('modify', new FakeRequest('INVITE', { body: 'another offer' }));
    const secure = format('opus', 'AES_CM_128_HMAC_SHA1_80');
    await vi.waitFor(() => expect(device.formats).toEqual({ received: secure, sent: secure }));
  });

  it('of a phone that makes no offer is carried in no known way until its ACK', async () => {
    const started = startApp();
    await answerTo(started, invite(VALID_TOKEN, {}, ''));
    expect(started.gate.connectedWith.get('alice')).toEqual({});
    started.media.phones.audio = { codec: 'PCMA', encryption: 'none' };
    started.media.phones.codec = 'PCMA';
    started.srf.dialogs[0]!.emit('ack', new FakeRequest('ACK', { body: 'answer' }));
    const plain = { codecs: ['PCMA'], encryption: 'none' };
    await vi.waitFor(() =>
      expect(started.gate.devices.get('alice')!.formats).toEqual({ received: plain, sent: plain }),
    );
  });

  it('ends by the phone’s BYE', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    dialog.emit('destroy', new FakeRequest('BYE'));
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(started.gate.ends).toEqual(['left']);
    expect(started.media.present.length).toBe(0);
    expect(dialog.byes).toEqual([]);
    expect(started.setupTimes).toHaveLength(1);
    expect(started.over).toEqual([endedOutcome('left')]);
  });

  it('ends by BYE with a Reason when the core closes it', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    started.gate.devices.get('alice')!.close('participant-deleted');
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(dialog.byes).toEqual(['SIP;cause=404;text="The participant was deleted."']);
    expect(started.gate.ends).toEqual([]);
    expect(started.media.present.length).toBe(0);
  });

  it('gets BYE only after the ACK of its 200 (RFC 3261 section 15)', async () => {
    const started = startApp();
    started.srf.acknowledges = false;
    const dialog = await connectCall(started);
    started.gate.devices.get('alice')!.close('participant-deleted');
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(dialog.byes).toEqual([]);
    dialog.emit('ack', new FakeRequest('ACK'));
    await vi.waitFor(() => expect(dialog.byes).toHaveLength(1));
  });

  it('ends when its media are lost', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    const deviceId = started.gate.devices.get('alice')!.info.id;
    started.media.emit(deviceId, { type: 'mediaLost', cause: 'timeout' });
    expect(dialog.byes).toHaveLength(1);
    expect(started.gate.ends).toEqual(['media-timeout']);
  });

  it('ends at its longest duration', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const started = startApp({ maxCallMs: 60_000 });
    started.srf.receive(invite(VALID_TOKEN));
    await Promise.resolve();
    await vi.advanceTimersByTimeAsync(59_999);
    expect(started.srf.dialogs[0]!.byes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(started.srf.dialogs[0]!.byes).toHaveLength(1);
    expect(started.gate.ends).toEqual(['max-duration']);
  });

  it('passes DTMF digits to the core', async () => {
    const started = startApp();
    await connectCall(started);
    const deviceId = started.gate.devices.get('alice')!.info.id;
    started.media.emit(deviceId, { type: 'dtmf', digit: '5', durationMs: 100 });
    expect(started.gate.digits).toEqual(['5']);
  });
});

describe('a call without ACK', () => {
  async function tenSecondsLater(packetsReceived: number) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const started = startApp();
    started.srf.acknowledges = false;
    const dialog = await connectCall(started);
    const [deviceId] = started.media.present;
    if (packetsReceived > 0) started.media.emit(deviceId!, { type: 'heard' });
    await vi.advanceTimersByTimeAsync(9_000);
    expect(started.media.present.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    return { ...started, dialog };
  }

  it('ends after ten seconds, and its BYE waits for the ACK', async () => {
    const { gate, media, dialog } = await tenSecondsLater(0);
    expect(media.present.length).toBe(0);
    expect(gate.ends).toEqual(['media-timeout']);
    expect(dialog.byes).toEqual([]);
    dialog.emit('ack', new FakeRequest('ACK'));
    await vi.advanceTimersByTimeAsync(0);
    expect(dialog.byes).toEqual(['SIP;cause=408;text="Neither an ACK nor media came."']);
  });

  it('goes on when its phone sends media', async () => {
    const { media } = await tenSecondsLater(1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(media.present.length).toBe(1);
  });

  it('goes on when the ACK comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const started = startApp();
    started.srf.acknowledges = false;
    const dialog = await connectCall(started);
    await vi.advanceTimersByTimeAsync(9_000);
    dialog.emit('ack', new FakeRequest('ACK'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(started.media.present.length).toBe(1);
  });
});
