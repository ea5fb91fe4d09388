import { describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../media/types.js';
import { endedOutcome, refusedOutcome } from './refusal.js';
import { BOBS_TOKEN, DELETED_TOKEN, EXPIRED_TOKEN, VALID_TOKEN } from './testing/fakes.js';
import { answerTo, connectCall, invite, startApp } from './testing/phone-app.js';

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
      'The tokens belong to different participants.',
    ],
  ])('for %s has the reason, and the log never has a token', async (_case, request, status, text) => {
    const started = startApp();
    const answer = await answerTo(started, request);
    expect(answer.status).toBe(status);
    expect(answer.headers?.['Reason']).toBe(`SIP;cause=${status};text="${text}"`);
    const log = started.lines.join('');
    expect(log).toContain('call-1');
    expect(log).not.toContain('eyJ');
    expect(started.over).toEqual([refusedOutcome(status)]);
    await vi.waitFor(() => expect(started.app.callCount).toBe(0));
  });

  it('is avoided by any valid token', async () => {
    const started = startApp();
    const answer = await answerTo(started, invite(EXPIRED_TOKEN, { 'x-participant-token': VALID_TOKEN }));
    expect(answer.status).toBe(200);
  });

  it('is 486 for a participant that is already connected', async () => {
    const started = startApp();
    await connectCall(started);
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(486);
    expect(started.gate.devices.size).toBe(1);
    expect(started.media.present.length).toBe(1);
  });

  it('is 488 with a Warning when no codec fits', async () => {
    const started = startApp();
    started.media.phones.failure = new MediaError('NO_COMMON_CODEC', 'The offer has no codec of ours.');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer.status).toBe(488);
    expect(answer.headers?.['Warning']).toBe('305 patchbay "The offer has no codec of ours."');
    expect(started.gate.devices.size).toBe(0);
  });

  it('is 500 without details for an internal error', async () => {
    const started = startApp();
    started.media.phones.failure = new Error('secret detail');
    const answer = await answerTo(started, invite(VALID_TOKEN));
    expect(answer).toMatchObject({
      status: 500,
      headers: { Reason: 'SIP;cause=500;text="Internal error."' },
    });
    expect(started.lines.join('')).toContain('secret detail');
  });
});

describe('the outcome of a call', () => {
  it.each([
    [403, 'client_error'],
    [486, 'client_error'],
    [487, 'cancelled'],
    [500, 'server_error'],
    [503, 'server_error'],
    [603, 'client_error'],
  ] as const)('refused with %i is %s', (status, outcome) => {
    expect(refusedOutcome(status)).toEqual({ outcome, reason: String(status) });
  });

  it.each([
    ['left', 'success'],
    ['participant-deleted', 'success'],
    ['media-timeout', 'client_error'],
    ['error', 'server_error'],
  ] as const)('ended by %s is %s', (reason, outcome) => {
    expect(endedOutcome(reason)).toEqual({ outcome, reason });
  });
});
