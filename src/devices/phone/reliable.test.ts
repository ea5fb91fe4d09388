import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../media/types.js';
import { createPhoneApp } from './index.js';
import { FakeGate, FakeRequest, FakeSrf, recordingLog, VALID_TOKEN } from './testing/fakes.js';
import { FakeMediaPlane } from '../../media/testing/fake-plane.js';

function start() {
  const srf = new FakeSrf();
  const media = new FakeMediaPlane();
  const app = createPhoneApp({ srf: srf.srf, gate: new FakeGate(), media, log: recordingLog().log });
  return { srf, media, app };
}

/** An INVITE that requires reliable provisional responses. */
const invite = (body: string): FakeRequest =>
  new FakeRequest('INVITE', {
    body,
    headers: { 'user-to-user': `${VALID_TOKEN};encoding=jwt`, require: '100rel' },
  });

/** Its PRACK: the same Call-ID and From. */
const prackOf = (body = ''): FakeRequest =>
  new FakeRequest('PRACK', { body, headers: { to: '<sip:127.0.0.1:5060>;tag=ours' } });

async function progressed(srf: FakeSrf, body: string): Promise<FakeRequest> {
  const request = srf.receive(invite(body));
  await vi.waitFor(() => expect(request.sent).toHaveLength(1));
  expect(request.sent[0]).toMatchObject({ status: 183, headers: { Require: '100rel' } });
  return request;
}

async function answered(request: FakeRequest) {
  if (!request.final) await once(request, 'answered');
  return request.final!;
}

afterEach(() => vi.useRealTimers());

describe('a call of a phone that requires 100rel', () => {
  it('gets the description in a 183, and the 200 after the PRACK', async () => {
    const { srf } = start();
    const request = await progressed(srf, 'offer');
    expect(request.final).toBeUndefined();
    expect((await answered(srf.receive(prackOf()))).body).toBeUndefined();
    expect(await answered(request)).toMatchObject({ status: 200, body: 'answer-1' });
  });

  it('gets the answer to an offer in its PRACK in the 200 to the PRACK', async () => {
    const { srf, media } = start();
    const request = await progressed(srf, 'offer');
    const prack = srf.receive(prackOf('another offer'));
    expect(await answered(prack)).toMatchObject({ status: 200, body: 'answer-2' });
    expect((await answered(request)).body).toBeUndefined();
    expect(media.phones.offers).toEqual(['offer', 'another offer']);
  });

  it('goes on as agreed when the offer in the PRACK cannot be accepted', async () => {
    const { srf, media } = start();
    const request = await progressed(srf, 'offer');
    media.phones.failure = new MediaError('NO_COMMON_CODEC', 'No.');
    expect((await answered(srf.receive(prackOf('video only')))).status).toBe(488);
    expect(await answered(request)).toMatchObject({ status: 200, body: 'answer-1' });
  });

  it('applies the answer in the PRACK when the INVITE had no offer', async () => {
    const { srf, media } = start();
    const request = await progressed(srf, '');
    expect((await answered(srf.receive(prackOf('their answer')))).status).toBe(200);
    expect((await answered(request)).body).toBeUndefined();
    expect(media.answers).toEqual(['their answer']);
  });

  it('is refused when the INVITE had no offer and the PRACK has no answer', async () => {
    const { srf, app } = start();
    const request = await progressed(srf, '');
    srf.receive(prackOf());
    expect((await answered(request)).status).toBe(488);
    await vi.waitFor(() => expect(app.callCount).toBe(0));
  });

  it('is refused when no PRACK comes in time, and so is a later PRACK', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { srf } = start();
    const request = srf.receive(invite('offer'));
    await vi.advanceTimersByTimeAsync(31_999);
    expect(request.final).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(request.final?.status).toBe(504);
    expect((await answered(srf.receive(prackOf('offer')))).status).toBe(481);
  });
});
