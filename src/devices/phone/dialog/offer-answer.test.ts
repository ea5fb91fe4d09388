import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../../media/types.js';
import { PhoneCall } from '../call.js';
import { OfferAnswer } from './offer-answer.js';
import { refusing } from '../refusal.js';
import { FakeDialog, FakeRequest, recordingLog } from '../testing/fakes.js';
import { connectCall, startApp } from '../testing/phone-app.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';

async function start() {
  const media = new FakeMediaPlane();
  const dialog = new FakeDialog();
  const { log } = recordingLog();
  const info = { id: 'd', kind: 'phone', externalId: 'c', direction: 'inbound' } as const;
  const nothing = (): void => undefined;
  const call = new PhoneCall({
    info,
    media,
    log,
    maxCallMs: 0,
    origin: { address: '127.0.0.1', isDirect: true, isConnection: false, port: 5062 },
    pause: () => Promise.resolve(),
    onEnded: nothing,
    onBye: nothing,
    onByeUnsent: nothing,
    onByeForgotten: nothing,
    keeper: {
      sipServer: '',
      embedded: undefined,
      freeswitch: undefined,
      calls: undefined,
      gatewayId: undefined,
    },
    onTakenOver: nothing,
    onDialog: nothing,
  });
  await call.openMedia('first offer');
  media.phones.offers.length = 0;
  const exchange = new OfferAnswer(call, dialog);
  call.answered(dialog, exchange);
  const listener = refusing({ log }, (request, responder) => exchange.change(request, responder, { X: '1' }));
  dialog.on('modify', listener);
  dialog.on('update', listener);
  return { media, dialog, call, exchange };
}

const reinvite = (body = 'offer'): FakeRequest => new FakeRequest('INVITE', { body });
const update = (body = ''): FakeRequest => new FakeRequest('UPDATE', { body });

async function answered(request: FakeRequest) {
  if (!request.final) await once(request, 'answered');
  return request.final!;
}

afterEach(() => vi.useRealTimers());

describe('an offer of the phone', () => {
  it('is answered in the 200 to an UPDATE, and an UPDATE without an offer gets a bare 200', async () => {
    const { dialog, media } = await start();
    expect(await answered(dialog.receive('update', update('offer')))).toMatchObject({
      status: 200,
      body: 'answer-1',
      headers: { X: '1' },
    });
    const bare = await answered(dialog.receive('update', update()));
    expect(bare).toEqual({ status: 200, headers: { X: '1' } });
    expect(media.phones.offers).toHaveLength(1);
  });

  it('gets 500 with Retry-After before the first one is answered', async () => {
    const { dialog, media } = await start();
    let open = (): void => undefined;
    media.phones.gate = new Promise((resolve) => (open = resolve));
    const first = dialog.receive('modify', reinvite());
    const second = await answered(dialog.receive('modify', reinvite()));
    expect(second.status).toBe(500);
    expect(Number(second.headers?.['Retry-After'])).toBeGreaterThan(0);
    open();
    expect((await answered(first)).status).toBe(200);
    expect((await answered(dialog.receive('modify', reinvite()))).status).toBe(200);
  });

  it('gets 491 between our offer, in the 200 to a re-INVITE without one, and the answer in the ACK', async () => {
    const { dialog, media } = await start();
    expect(await answered(dialog.receive('modify', reinvite('')))).toMatchObject({ body: 'offer-1' });
    expect((await answered(dialog.receive('update', update('offer')))).status).toBe(491);
    expect((await answered(dialog.receive('update', update()))).status).toBe(200);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'their answer' }));
    await vi.waitFor(() => expect(media.answers).toEqual(['their answer']));
    expect((await answered(dialog.receive('update', update('offer')))).status).toBe(200);
  });

  it('waits for the answer in the ACK right before it', async () => {
    const { dialog, media } = await start();
    await answered(dialog.receive('modify', reinvite('')));
    let open = (): void => undefined;
    media.phones.gate = new Promise((resolve) => (open = resolve));
    dialog.emit('ack', new FakeRequest('ACK', { body: 'their answer' }));
    const second = dialog.receive('update', update('offer'));
    open();
    expect((await answered(second)).status).toBe(200);
    expect(media.answers).toEqual(['their answer']);
  });

  it('gets 415 if its body is no session description, and 420 for an unknown extension', async () => {
    const { dialog } = await start();
    const odd = new FakeRequest('INVITE', { body: 'x', headers: { 'content-type': 'text/plain' } });
    expect(await answered(dialog.receive('modify', odd))).toMatchObject({ status: 415 });
    const strange = new FakeRequest('INVITE', { body: 'x', headers: { require: 'timer, teleport' } });
    expect(await answered(dialog.receive('modify', strange))).toMatchObject({
      status: 420,
      headers: { Unsupported: 'teleport' },
    });
  });

  it('is answered within a call, and tells the core of hold', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    started.media.phones.held = true;
    const reinvite = dialog.receive('modify', new FakeRequest('INVITE', { body: 'hold' }));
    await once(reinvite, 'answered');
    expect(reinvite.final).toMatchObject({
      status: 200,
      body: 'answer-2',
      headers: { Contact: '<sip:gateway.example>' },
    });
    expect(started.media.phones.offers).toEqual(['offer', 'hold']);
    expect(started.gate.holds).toEqual([false, true]);
  });

  it('leaves the call as it was when no codec fits', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
    started.media.phones.failure = new MediaError('NO_COMMON_CODEC', 'No.');
    const reinvite = dialog.receive('modify', new FakeRequest('INVITE', { body: 'video only' }));
    await once(reinvite, 'answered');
    expect(reinvite.final?.status).toBe(488);
    expect(started.app.callCount).toBe(1);
    expect(dialog.byes).toEqual([]);
  });
});

describe('our offer in the 200 to a re-INVITE', () => {
  it.each([
    ['no answer', ''],
    ['an answer that cannot be used', 'nonsense'],
  ])('leaves the session as it was when the ACK carries %s (drachtio-srf #107)', async (_what, body) => {
    const { dialog, media, call } = await start();
    await answered(dialog.receive('modify', reinvite('')));
    media.phones.failure = new MediaError('BAD_SDP', 'no');
    dialog.emit('ack', new FakeRequest('ACK', { body }));
    await answered(dialog.receive('update', update()));
    media.phones.failure = undefined;
    await vi.waitFor(async () =>
      expect((await answered(dialog.receive('update', update('offer')))).status).toBe(200),
    );
    expect(call.ended).toBe(false);
    expect(dialog.byes).toEqual([]);
    expect(media.answers).toEqual([]);
  });

  it.each(['', 'nonsense'])(
    'ends the call when it is the first, and its answer is not usable (%j)',
    async (body) => {
      const { dialog, media, call, exchange } = await start();
      exchange.offeredInAnswer(new FakeRequest('INVITE'));
      media.phones.failure = new MediaError('BAD_SDP', 'no');
      dialog.emit('ack', new FakeRequest('ACK', { body, headers: { cseq: '1 ACK' } }));
      await vi.waitFor(() => expect(call.ended).toBe(true));
      expect(dialog.byes).toHaveLength(1);
    },
  );

  it('ignores a late ACK of the INVITE before', async () => {
    const { dialog, media, call } = await start();
    const withoutOffer = new FakeRequest('INVITE', { headers: { cseq: '2 INVITE' } });
    await answered(dialog.receive('modify', withoutOffer));
    dialog.emit('ack', new FakeRequest('ACK', { headers: { cseq: '1 ACK' } }));
    expect(call.ended).toBe(false);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'their answer', headers: { cseq: '2 ACK' } }));
    await vi.waitFor(() => expect(media.answers).toEqual(['their answer']));
  });
});

describe('our re-INVITE', () => {
  it('offers our current description', async () => {
    const { dialog, media, exchange } = await start();
    dialog.answering = () => ({ status: 200, body: 'their answer' });
    expect(await exchange.offer({})).toMatchObject({ outcome: 'accepted' });
    expect(dialog.requests).toMatchObject([{ method: 'INVITE', body: 'offer-1' }]);
    expect(media.answers).toEqual(['their answer']);
  });

  it('is sent again a random time after a 491', async () => {
    vi.useFakeTimers();
    const { dialog, exchange } = await start();
    dialog.answering = () => (dialog.requests.length < 3 ? { status: 491 } : { status: 200, body: 'a' });
    const offered = exchange.offer({});
    await vi.advanceTimersByTimeAsync(4001);
    expect(await offered).toMatchObject({ outcome: 'accepted' });
    expect(dialog.requests).toHaveLength(3);
  });

  it('makes the phone’s own re-INVITE fail with 491', async () => {
    const { dialog, exchange } = await start();
    let crossing: FakeRequest | undefined;
    dialog.answering = () => {
      crossing ??= dialog.receive('modify', reinvite());
      return { status: 200, body: 'their answer' };
    };
    await exchange.offer({});
    expect(crossing?.final?.status).toBe(491);
  });

  it.each([
    [488, 'refused'],
    [481, 'gone'],
    [408, 'gone'],
  ])('that gets %i is %s', async (status, outcome) => {
    const { dialog, exchange } = await start();
    dialog.answering = () => ({ status });
    expect(await exchange.offer({})).toMatchObject({ outcome });
  });

  it('throws when its answer is not usable', async () => {
    const { dialog, media, exchange } = await start();
    dialog.answering = () => {
      media.phones.failure = new MediaError('BAD_SDP', 'no');
      return { status: 200, body: 'nonsense' };
    };
    await expect(exchange.offer({})).rejects.toThrow(MediaError);
  });
});
