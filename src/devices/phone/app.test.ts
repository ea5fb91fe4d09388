import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../media/types.js';
import { type CallOutcome, endedOutcome, refusedOutcome } from './refusal.js';
import { type CallObserver, createPhoneApp, type PhoneAppOptions } from './index.js';
import {
  BOBS_TOKEN,
  DELETED_TOKEN,
  EXPIRED_TOKEN,
  type FakeDialog,
  FakeGate,
  FakeRequest,
  FakeSrf,
  recordingLog,
  VALID_TOKEN,
} from './testing/fakes.js';
import { FakeMediaPlane } from '../../media/testing/fake-plane.js';

function start(options: Partial<PhoneAppOptions> = {}) {
  const srf = new FakeSrf();
  const gate = new FakeGate();
  const media = new FakeMediaPlane();
  const { log, lines } = recordingLog();
  const setupTimes: number[] = [];
  const over: CallOutcome[] = [];
  const observer: CallObserver = {
    answered: (ms) => void setupTimes.push(ms),
    over: (outcome) => void over.push(outcome),
  };
  const app = createPhoneApp({ srf: srf.srf, gate, media, log, observer, ...options });
  return { srf, gate, media, app, lines, setupTimes, over };
}

type Started = ReturnType<typeof start>;

function invite(
  token: string | undefined,
  headers: Record<string, string> = {},
  body = 'offer',
): FakeRequest {
  return new FakeRequest('INVITE', {
    body,
    headers: { ...(token !== undefined && { 'user-to-user': `${token};encoding=jwt` }), ...headers },
  });
}

async function answerTo({ srf }: Started, request: FakeRequest) {
  srf.receive(request);
  await vi.waitFor(() => expect(request.final).toBeDefined());
  return request.final!;
}

/** A call that is up. */
async function call(started: Started, headers?: Record<string, string>, body?: string): Promise<FakeDialog> {
  const { status } = await answerTo(started, invite(VALID_TOKEN, headers, body));
  expect(status).toBe(200);
  return started.srf.dialogs.at(-1)!;
}

afterEach(() => vi.useRealTimers());

describe('a call', () => {
  it('takes digits and headers for its BYE from the core', async () => {
    const started = start();
    const dialog = await call(started);
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

  it('ends when the SIP server goes away before it has taken the 200; one that is up goes on', async () => {
    const started = start();
    const up = await call(started);
    started.srf.createUAS = () => undefined;
    started.srf.receive(invite(BOBS_TOKEN, { 'call-id': 'call-2' }));
    await vi.waitFor(() => expect(started.gate.devices.has('bob')).toBe(true));
    started.app.sipServerAway();
    expect([...started.gate.devices.keys()]).toEqual(['alice']);
    expect(started.gate.ends).toEqual(['lost']);
    await vi.waitFor(() => expect(started.media.present.length).toBe(1));
    expect(up.byes).toEqual([]);
    await vi.waitFor(() => expect(started.over).toEqual([endedOutcome('lost')]));
  });

  it('that is ended while the SIP server has its 200 in hand gets its BYE, and counts once', async () => {
    const started = start();
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

  it.each([
    ['was cancelled before', new Error('Response not sent due to unknown transaction'), 200],
    ['is answered', undefined, 486],
  ])('right behind one of which the SIP server has yet to say that it %s', async (_what, failure, status) => {
    const started = start();
    const createUAS = started.srf.createUAS.bind(started.srf);
    let confirm = (): void => undefined;
    started.srf.createUAS = (...args) => {
      started.srf.createUAS = createUAS;
      const [, , , callback] = args;
      confirm = () => (failure ? callback(failure) : createUAS(...args));
    };
    started.srf.receive(invite(VALID_TOKEN));
    await vi.waitFor(() => expect(started.gate.devices.has('alice')).toBe(true));
    const second = started.srf.receive(invite(VALID_TOKEN, { 'call-id': 'call-2' }));
    await vi.waitFor(() => expect(started.app.callCount).toBe(2));
    confirm();
    await vi.waitFor(() => expect(second.final?.status).toBe(status));
  });

  it('is answered, published and told its deliveries', async () => {
    const started = start();
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

  it('ends by the phone’s BYE', async () => {
    const started = start();
    const dialog = await call(started);
    dialog.emit('destroy', new FakeRequest('BYE'));
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(started.gate.ends).toEqual(['left']);
    expect(started.media.present.length).toBe(0);
    expect(dialog.byes).toEqual([]);
    expect(started.setupTimes).toHaveLength(1);
    expect(started.over).toEqual([endedOutcome('left')]);
  });

  it('ends by BYE with a Reason when the core closes it', async () => {
    const started = start();
    const dialog = await call(started);
    started.gate.devices.get('alice')!.close('participant-deleted');
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(dialog.byes).toEqual(['SIP;cause=404;text="The participant was deleted."']);
    expect(started.gate.ends).toEqual([]);
    expect(started.media.present.length).toBe(0);
  });

  it('is hung up only when its 200 is acknowledged (RFC 3261 section 15)', async () => {
    const started = start();
    started.srf.acknowledges = false;
    const dialog = await call(started);
    started.gate.devices.get('alice')!.close('participant-deleted');
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(dialog.byes).toEqual([]);
    dialog.emit('ack', new FakeRequest('ACK'));
    await vi.waitFor(() => expect(dialog.byes).toHaveLength(1));
  });

  it('ends when its media are lost', async () => {
    const started = start();
    const dialog = await call(started);
    const deviceId = started.gate.devices.get('alice')!.info.id;
    started.media.emit(deviceId, { type: 'mediaLost', cause: 'timeout' });
    expect(dialog.byes).toHaveLength(1);
    expect(started.gate.ends).toEqual(['media-timeout']);
  });

  it('ends at its longest duration', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const started = start({ maxCallMs: 60_000 });
    started.srf.receive(invite(VALID_TOKEN));
    await Promise.resolve();
    await vi.advanceTimersByTimeAsync(59_999);
    expect(started.srf.dialogs[0]!.byes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(started.srf.dialogs[0]!.byes).toHaveLength(1);
    expect(started.gate.ends).toEqual(['max-duration']);
  });

  it('passes DTMF digits on', async () => {
    const started = start();
    await call(started);
    const deviceId = started.gate.devices.get('alice')!.info.id;
    started.media.emit(deviceId, { type: 'dtmf', digit: '5', durationMs: 100 });
    expect(started.gate.digits).toEqual(['5']);
  });

  it('cancelled before the answer leaves nothing behind', async () => {
    const started = start();
    let open = (): void => undefined;
    started.media.phones.gate = new Promise((resolve) => (open = resolve));
    const request = started.srf.receive(invite(VALID_TOKEN));
    request.emit('cancel', new FakeRequest('CANCEL'));
    open();
    await vi.waitFor(() => expect(request.final?.status).toBe(487));
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
    expect(started.media.present.length).toBe(0);
    expect(started.gate.devices.size).toBe(0);
  });

  it.each([
    ['its dialog is over', 'Response not sent due to unknown transaction', 487],
    ['its CANCEL crosses it', new Error('Request Terminated'), 487],
  ])('whose 200 is not sent since %s is no error of ours', async (_why, failure, status) => {
    const started = start();
    const request = invite(VALID_TOKEN);
    started.srf.createUAS = (_request, _responder, _options, callback) => {
      if (failure instanceof Error) request.emit('cancel', new FakeRequest('CANCEL'));
      callback(failure);
    };
    expect(await answerTo(started, request)).toMatchObject({ status });
    expect(started.lines.some((line) => line.includes('"level":50'))).toBe(false);
    expect(started.gate.devices.size).toBe(0);
  });

  it('is refused when the core ends it before the answer', async () => {
    const started = start();
    started.gate.onConnect = (device) => device.close('session-deleted');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(480);
    expect(answer.headers?.['Reason']).toContain('The session was deleted.');
    expect(started.media.present.length).toBe(0);
  });

  it('without an offer gets ours, and is published when its answer comes', async () => {
    const started = start();
    const dialog = await call(started, {}, '');
    expect(started.gate.published.get('alice')).toEqual([]);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'the answer' }));
    await vi.waitFor(() => expect(started.gate.published.get('alice')).toHaveLength(1));
    expect(started.media.answers).toEqual(['the answer']);
  });

  it('whose ACK owes an answer and has none is ended', async () => {
    const started = start();
    const dialog = await call(started, {}, '');
    dialog.emit('ack', new FakeRequest('ACK'));
    expect(dialog.byes).toEqual(['SIP;cause=500;text="The ACK carries no answer to our offer."']);
  });
});

describe('a refusal', () => {
  it.each([
    ['an unknown token', invite('eyJhIjoxfQ.eyJhIjoxfQ.x'), 403, 'The token is not valid.'],
    ['an expired token', invite(EXPIRED_TOKEN), 403, 'The token has expired.'],
    [
      'no token',
      invite(undefined),
      403,
      'The INVITE carries no participant token (looked for in User-to-User, the Request-URI, X-Participant-Token).',
    ],
    ['a deleted participant', invite(DELETED_TOKEN), 404, 'There is no such participant.'],
    [
      'tokens that disagree',
      invite(VALID_TOKEN, { 'x-participant-token': BOBS_TOKEN }),
      400,
      'The tokens stand for different participants.',
    ],
  ])('for %s says why, and the log never holds a token', async (_case, request, status, text) => {
    const started = start();
    const answer = await answerTo(started, request);
    expect(answer.status).toBe(status);
    expect(answer.headers?.['Reason']).toBe(`SIP;cause=${status};text="${text}"`);
    const log = started.lines.join('');
    expect(log).toContain('call-1');
    expect(log).not.toContain('eyJ');
    expect(started.over).toEqual([refusedOutcome(status)]);
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
  });

  it('takes the first token that verifies', async () => {
    const started = start();
    const answer = await answerTo(started, invite(EXPIRED_TOKEN, { 'x-participant-token': VALID_TOKEN }));
    expect(answer.status).toBe(200);
  });

  it('is 486 for a participant that is connected', async () => {
    const started = start();
    await call(started);
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(486);
    expect(started.gate.devices.size).toBe(1);
    expect(started.media.present.length).toBe(1);
  });

  it('is 488 with a Warning when no codec fits', async () => {
    const started = start();
    started.media.phones.failure = new MediaError('NO_COMMON_CODEC', 'The offer has no codec of ours.');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(488);
    expect(answer.headers?.['Warning']).toBe('305 patchbay "The offer has no codec of ours."');
    expect(started.gate.devices.size).toBe(0);
  });

  it('is a bare 500 for what went wrong inside', async () => {
    const started = start();
    started.media.phones.failure = new Error('secret detail');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer).toMatchObject({
      status: 500,
      headers: { Reason: 'SIP;cause=500;text="Internal error."' },
    });
    expect(started.lines.join('')).toContain('secret detail');
  });

  it('is 503 at once when there is no room, with when to come back and no log line for each', async () => {
    const asked: string[] = [];
    const started = start({
      admit: (source) => {
        asked.push(source);
        return asked.length > 1 ? 7 : undefined;
      },
    });
    await call(started);
    const logged = started.lines.length;
    const answer = await answerTo(started, invite(BOBS_TOKEN));
    expect(answer.status).toBe(503);
    expect(answer.headers).toMatchObject({ 'Retry-After': '7' });
    expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
    expect(started.lines).toHaveLength(logged);
    expect(started.over).toEqual([refusedOutcome(503)]);
    expect(started.app.callCount).toBe(1);
  });

  it('is 503 while draining; stopping ends the calls there are', async () => {
    const started = start();
    const dialog = await call(started);
    let drained = false;
    const draining = started.app.drain().then(() => (drained = true));
    const answer = await answerTo(started, invite(BOBS_TOKEN));
    expect(answer.status).toBe(503);
    expect(answer.headers?.['Retry-After']).toBe('10');
    expect(drained).toBe(false);
    await started.app.stop();
    await draining;
    expect(dialog.byes).toEqual(['SIP;cause=503;text="The gateway is stopping."']);
  });
});

describe('a change of the session', () => {
  it('is answered from the state it leads to', async () => {
    const started = start();
    const dialog = await call(started);
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

  it('that fits nothing is refused and leaves the call as it was', async () => {
    const started = start();
    const dialog = await call(started);
    started.media.phones.failure = new MediaError('NO_COMMON_CODEC', 'No.');
    const reinvite = dialog.receive('modify', new FakeRequest('INVITE', { body: 'video only' }));
    await once(reinvite, 'answered');
    expect(reinvite.final?.status).toBe(488);
    expect(started.app.callCount).toBe(1);
    expect(dialog.byes).toEqual([]);
  });
});
