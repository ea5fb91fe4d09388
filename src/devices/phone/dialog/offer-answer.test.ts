import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../../media/types.js';
import { PhoneCall } from '../call.js';
import { OfferAnswer } from './offer-answer.js';
import { refusing } from '../refusal.js';
import { FakeDialog, FakeRequest, recordingLog } from '../testing/fakes.js';
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
  });
  await call.openMedia('first offer');
  media.phones.offers.length = 0;
  const exchange = new OfferAnswer(call, dialog);
  call.answered(dialog, exchange);
  const listener = refusing(log, (request, responder) => exchange.change(request, responder, { X: '1' }));
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

describe('the phone changes the session', () => {
  it('by UPDATE, with and without an offer', async () => {
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

  it('by a second offer before the first is answered: 500 with Retry-After', async () => {
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

  it('by a re-INVITE without an offer: ours, answered in the ACK; 491 to offers between', async () => {
    const { dialog, media } = await start();
    expect(await answered(dialog.receive('modify', reinvite('')))).toMatchObject({ body: 'offer-1' });
    expect((await answered(dialog.receive('update', update('offer')))).status).toBe(491);
    expect((await answered(dialog.receive('update', update()))).status).toBe(200);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'their answer' }));
    await vi.waitFor(() => expect(media.answers).toEqual(['their answer']));
    expect((await answered(dialog.receive('update', update('offer')))).status).toBe(200);
  });

  it.each([
    ['no answer', ''],
    ['an answer that cannot be used', 'nonsense'],
  ])(
    'by a re-INVITE without an offer, whose ACK carries %s: all stays as it was (drachtio-srf #107)',
    async (_what, body) => {
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
    },
  );

  it.each(['', 'nonsense'])(
    'but a first offer of ours without a usable answer (%j) ends the call',
    async (body) => {
      const { dialog, media, call, exchange } = await start();
      exchange.offeredInAnswer(new FakeRequest('INVITE'));
      media.phones.failure = new MediaError('BAD_SDP', 'no');
      dialog.emit('ack', new FakeRequest('ACK', { body, headers: { cseq: '1 ACK' } }));
      await vi.waitFor(() => expect(call.ended).toBe(true));
      expect(dialog.byes).toHaveLength(1);
    },
  );

  it('by an offer right behind its answer in the ACK: it waits until that is taken', async () => {
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

  it('by a re-INVITE without an offer, and the ACK of the INVITE before it comes late', async () => {
    const { dialog, media, call } = await start();
    const withoutOffer = new FakeRequest('INVITE', { headers: { cseq: '2 INVITE' } });
    await answered(dialog.receive('modify', withoutOffer));
    dialog.emit('ack', new FakeRequest('ACK', { headers: { cseq: '1 ACK' } }));
    expect(call.ended).toBe(false);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'their answer', headers: { cseq: '2 ACK' } }));
    await vi.waitFor(() => expect(media.answers).toEqual(['their answer']));
  });

  it('with a body that is no session description: 415; with an unknown extension: 420', async () => {
    const { dialog } = await start();
    const odd = new FakeRequest('INVITE', { body: 'x', headers: { 'content-type': 'text/plain' } });
    expect(await answered(dialog.receive('modify', odd))).toMatchObject({ status: 415 });
    const strange = new FakeRequest('INVITE', { body: 'x', headers: { require: 'timer, teleport' } });
    expect(await answered(dialog.receive('modify', strange))).toMatchObject({
      status: 420,
      headers: { Unsupported: 'teleport' },
    });
  });
});

describe('we change the session', () => {
  it('by re-INVITE with our present description', async () => {
    const { dialog, media, exchange } = await start();
    dialog.answering = () => ({ status: 200, body: 'their answer' });
    expect(await exchange.offer({})).toMatchObject({ outcome: 'accepted' });
    expect(dialog.requests).toMatchObject([{ method: 'INVITE', body: 'offer-1' }]);
    expect(media.answers).toEqual(['their answer']);
  });

  it('and waits a random time after 491, then tries again', async () => {
    vi.useFakeTimers();
    const { dialog, exchange } = await start();
    dialog.answering = () => (dialog.requests.length < 3 ? { status: 491 } : { status: 200, body: 'a' });
    const offered = exchange.offer({});
    await vi.advanceTimersByTimeAsync(4001);
    expect(await offered).toMatchObject({ outcome: 'accepted' });
    expect(dialog.requests).toHaveLength(3);
  });

  it('while the phone’s own re-INVITE is refused with 491', async () => {
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
  ])('and %i means %s', async (status, outcome) => {
    const { dialog, exchange } = await start();
    dialog.answering = () => ({ status });
    expect(await exchange.offer({})).toMatchObject({ outcome });
  });

  it('and an answer that fits nothing is told', async () => {
    const { dialog, media, exchange } = await start();
    dialog.answering = () => {
      media.phones.failure = new MediaError('BAD_SDP', 'no');
      return { status: 200, body: 'nonsense' };
    };
    await expect(exchange.offer({})).rejects.toThrow(MediaError);
  });
});
