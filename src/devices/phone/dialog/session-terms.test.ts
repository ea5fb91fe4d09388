import { describe, expect, it } from 'vitest';
import type { Refusal } from '../refusal.js';
import { agreedTerms, termsHeaders } from './session-terms.js';
import { FakeRequest } from '../testing/fakes.js';

function terms(headers: Record<string, string>, wanted = 1800) {
  return agreedTerms(new FakeRequest('INVITE', { headers }), { wantedS: wanted, leastS: 90 });
}

describe('session timers (RFC 4028)', () => {
  it.each([
    [
      'a phone that names itself',
      { supported: 'timer', 'session-expires': '300;refresher=uac' },
      'phone',
      300,
    ],
    ['a phone that names us', { supported: 'timer', 'session-expires': '300;refresher=uas' }, 'us', 300],
    ['a phone that names nobody', { supported: '100rel, TIMER', 'session-expires': '300' }, 'phone', 300],
    ['the compact form', { supported: 'timer', x: '300 ; Refresher=UAS' }, 'us', 300],
    ['a proxy before a phone without timers', { 'session-expires': '300' }, 'us', 300],
    ['a phone that asks for none', { supported: 'timer' }, 'phone', 1800],
    ['a proxy that stands only longer ones', { supported: 'timer', 'min-se': '3600' }, 'phone', 3600],
  ] as const)('with %s', (_who, headers, refresher, expires) => {
    expect(terms(headers)).toEqual({ refresher, expires });
  });

  it('are off for phones that do not support them, and when none is configured', () => {
    expect(terms({})).toBeUndefined();
    expect(terms({ supported: 'timer' }, 0)).toBeUndefined();
    expect(terms({ supported: 'timer', 'session-expires': 'nonsense' }, 0)).toBeUndefined();
  });

  it('that are too short are refused with 422 and Min-SE, if the phone supports timers', () => {
    const short = { 'session-expires': '30' };
    expect(() => terms({ ...short, supported: 'timer' })).toThrow(
      expect.objectContaining({ status: 422, headers: { 'Min-SE': '90' } }) as Refusal,
    );
    expect(terms(short)).toBeUndefined();
  });

  it('are in the headers of the 2xx', () => {
    expect(termsHeaders({ expires: 300, refresher: 'phone' })).toEqual({
      'Session-Expires': '300;refresher=uac',
      Require: 'timer',
    });
    expect(termsHeaders({ expires: 300, refresher: 'us' })).toEqual({
      'Session-Expires': '300;refresher=uas',
    });
    expect(termsHeaders(undefined)).toEqual({});
  });
});
