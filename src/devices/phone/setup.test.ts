import { describe, expect, it, vi } from 'vitest';
import { Refusal } from './refusal.js';
import { SetupSignal } from './setup.js';
import { FakeRequest, VALID_TOKEN } from './testing/fakes.js';
import { answerTo, connectCall, invite, startApp } from './testing/phone-app.js';

describe('an INVITE', () => {
  it.each([
    ['was cancelled before', new Error('Response not sent due to unknown transaction'), 200],
    ['is answered', undefined, 486],
  ])(
    'waits for the call before it, of which the SIP server says late that it %s',
    async (_what, failure, status) => {
      const started = startApp();
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
    },
  );

  it('leaves nothing behind when it is cancelled before the answer', async () => {
    const started = startApp();
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
  ])(
    'is refused without an error in the log when its 200 is not sent because %s',
    async (_why, failure, status) => {
      const started = startApp();
      const request = invite(VALID_TOKEN);
      started.srf.createUAS = (_request, _responder, _options, callback) => {
        if (failure instanceof Error) request.emit('cancel', new FakeRequest('CANCEL'));
        callback(failure);
      };
      expect(await answerTo(started, request)).toMatchObject({ status });
      expect(started.lines.some((line) => line.includes('"level":50'))).toBe(false);
      expect(started.gate.devices.size).toBe(0);
    },
  );

  it('is refused when the core ends it before the answer', async () => {
    const started = startApp();
    started.gate.onConnect = (device) => device.close('session-deleted');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(480);
    expect(answer.headers?.['Reason']).toContain('The session was deleted.');
    expect(started.media.present.length).toBe(0);
  });

  it('gets our offer when it has none, and is published when the answer comes', async () => {
    const started = startApp();
    const dialog = await connectCall(started, {}, '');
    expect(started.gate.published.get('alice')).toEqual([]);
    dialog.emit('ack', new FakeRequest('ACK', { body: 'the answer' }));
    await vi.waitFor(() => expect(started.gate.published.get('alice')).toHaveLength(1));
    expect(started.media.answers).toEqual(['the answer']);
  });

  it('is ended when its ACK lacks the answer to our offer', async () => {
    const started = startApp();
    const dialog = await connectCall(started, {}, '');
    dialog.emit('ack', new FakeRequest('ACK'));
    expect(dialog.byes).toEqual(['SIP;cause=500;text="The ACK carries no answer to our offer."']);
  });
});

const REFUSAL = new Refusal(487, 'The caller cancelled the call.');

describe('SetupSignal', () => {
  it('throws the first reason once it is aborted', () => {
    const signal = new SetupSignal();
    expect(() => signal.throwIfAborted()).not.toThrow();
    signal.abort(REFUSAL);
    signal.abort(new Refusal(480, 'The session was deleted.'));
    expect(signal.reason).toBe(REFUSAL);
    expect(() => signal.throwIfAborted()).toThrow(REFUSAL);
  });

  it('calls the current listener once', () => {
    const signal = new SetupSignal();
    const told: unknown[] = [];
    signal.onAbort(() => told.push('removed listener'));
    signal.onAbort(undefined);
    signal.onAbort((reason) => told.push(reason));
    signal.abort(REFUSAL);
    signal.abort(REFUSAL);
    expect(told).toEqual([REFUSAL]);
  });
});
