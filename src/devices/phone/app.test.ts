import { describe, expect, it, vi } from 'vitest';
import { endedOutcome, refusedOutcome } from './refusal.js';
import { BOBS_TOKEN } from './testing/fakes.js';
import { answerTo, connectCall, invite, startApp } from './testing/phone-app.js';

describe('the phone application', () => {
  it('ends a call whose 200 the SIP server has not confirmed when its connection is lost, and no other', async () => {
    const started = startApp();
    const up = await connectCall(started);
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

  it('refuses calls with 503 and Retry-After when there is no room, and tells their accounts', async () => {
    const asked: string[] = [];
    const started = startApp({
      admit: (source) => {
        asked.push(source);
        return asked.length > 1 ? 7 : undefined;
      },
    });
    await connectCall(started);
    const answer = await answerTo(started, invite(BOBS_TOKEN));
    expect(answer.status).toBe(503);
    expect(answer.headers).toMatchObject({ 'Retry-After': '7' });
    expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
    const reason = 'The gateway is at its limit.';
    const failed = [{ participantId: 'bob', call: { status: 503, reason } }];
    await vi.waitFor(() => expect(started.gate.failed).toMatchObject(failed));
    // One line, for the call that an account misses.
    expect(started.lines.filter((line) => line.includes('503'))).toMatchObject([
      expect.stringContaining('Call failed.'),
    ]);
    expect(started.over).toEqual([refusedOutcome(503)]);
    expect(started.app.callCount).toBe(1);
  });

  it('knows the gateway’s own test calls by their Call-IDs', async () => {
    const asked: (readonly [string, boolean])[] = [];
    const started = startApp({
      admit: (source, isTest) => {
        asked.push([source, isTest]);
        return undefined;
      },
      isTestCall: (callId) => callId === 'call-2',
    });
    await connectCall(started);
    await answerTo(started, invite(BOBS_TOKEN, { 'call-id': 'call-2' }));
    expect(asked).toEqual([
      ['127.0.0.1', false],
      ['127.0.0.1', true],
    ]);
    expect(started.gate.devices.get('alice')?.info).not.toHaveProperty('test');
    expect(started.gate.devices.get('bob')?.info).toHaveProperty('test', true);
  });

  it('refuses new calls with 503 while draining, and ends the others when it stops', async () => {
    const started = startApp();
    const dialog = await connectCall(started);
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
