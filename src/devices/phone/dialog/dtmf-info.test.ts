import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigitMerger, digitOfInfo, type DigitWay } from './dtmf-info.js';
import { Refusal } from '../refusal.js';
import { FakeRequest } from '../testing/fakes.js';

function digit(type: string | undefined, body: string) {
  return digitOfInfo(
    new FakeRequest('INFO', { body, headers: type === undefined ? {} : { 'content-type': type } }),
  );
}

describe('DTMF by INFO', () => {
  it.each([
    ['application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n', '5', 160],
    ['application/dtmf-relay', 'Signal= *\nDuration= 90', '*', 90],
    ['Application/DTMF-Relay; charset=utf-8', 'duration=100\r\nsignal=11\r\n', '#', 100],
    ['application/dtmf-relay', 'Signal=a', 'A', 250],
    ['application/dtmf-relay', 'Signal=5\r\nDuration=-1', '5', 250],
    ['application/dtmf', '7', '7', 250],
    ['application/dtmf', ' 10\r\n', '*', 250],
    // hass-sip PR 24, JsSIP #307, pjproject PR 2425
    ['application/dtmf', 'Signal=5\r\nDuration=160', '5', 160],
    ['application/dtmf-relay', 'd=5', '5', 250],
    ['application/dtmf-relay', 'Signal: 5', '5', 250],
    ['application/dtmf-relay', 'SIGNAL : #\r\nDURATION:90', '#', 90],
    ['application/dtmf-relay', '5', '5', 250],
    ['application/dtmf-relay', 'Signal="5"\rDuration=90', '5', 90],
    ['audio/telephone-event', '5', '5', 250],
    ['audio/telephone-event', 'Signal=11\nDuration=200', '#', 200],
    [
      'application/vnd.nortelnetworks.digits',
      'p=Digit-Collection\r\ny=Digits\r\ns=success\r\nd=5\r\n',
      '5',
      250,
    ],
    ['application/vnd.nortelnetworks.digits', 'd=*', '*', 250],
  ])('%s %j is %s', (type, body, expected, durationMs) => {
    expect(digit(type, body)).toEqual({ digit: expected, durationMs });
  });

  it.each([
    [undefined, ''],
    ['application/dtmf-relay', 'Signal=16'],
    ['application/dtmf-relay', 'Signal=flash'],
  ])('%s %j is no digit', (type, body) => {
    expect(digit(type, body)).toBeUndefined();
  });

  it.each([
    ['application/dtmf-relay', 'Signal=55', 400],
    ['application/dtmf-relay', 'nonsense', 400],
    ['application/media_control+xml', '<media_control/>', 415],
    [undefined, '5', 415],
  ])('%s %j is refused', (type, body, status) => {
    expect(() => digit(type, body)).toThrow(expect.objectContaining({ status }) as Error);
  });

  it('is a valid digit, no digit, or refused, whatever the body is', () => {
    const piece = fc.oneof(
      fc.constantFrom('Signal', 'duration', '=', '\r\n', '5', '-1', '1e9', 'NaN', ' '),
      fc.string(),
    );
    const body = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    const type = fc.oneof(fc.constantFrom('application/dtmf-relay', 'application/dtmf'), fc.string());
    fc.assert(
      fc.property(type, body, (contentType, text) => {
        try {
          const found = digit(contentType, text);
          if (!found) return;
          expect(found.digit).toMatch(/^[0-9*#A-D]$/);
          expect(found.durationMs > 0 && found.durationMs <= 10_000).toBe(true);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('DigitMerger', () => {
  it('counts a press that is reported both ways once, and each repeated press', () => {
    let now = 0;
    const merger = new DigitMerger(() => now);
    expect(merger.isNew('rtp', '5')).toBe(true);
    expect(merger.isNew('info', '5')).toBe(false);
    expect(merger.isNew('rtp', '5')).toBe(true);
    expect(merger.isNew('rtp', '5')).toBe(true);
    expect(merger.isNew('info', '5')).toBe(false);
    expect(merger.isNew('info', '5')).toBe(false);
    expect(merger.isNew('info', '6')).toBe(true);
    now += 2000;
    expect(merger.isNew('rtp', '6')).toBe(true);
  });

  it('counts each report of a phone that uses one way only', () => {
    const merger = new DigitMerger(() => 0);
    expect(Array.from('1122').every((pressed) => merger.isNew('info', pressed))).toBe(true);
  });
});

/** The digits that are counted. Each report has a way, a digit and a time in ms. */
function counted(...reports: readonly (readonly [way: DigitWay, digit: string, at: number])[]): string {
  let now = 0;
  const merger = new DigitMerger(() => now);
  return reports
    .filter(([way, digit, at]) => {
      now = at;
      return merger.isNew(way, digit);
    })
    .map(([, digit]) => digit)
    .join('');
}

describe('key presses that are reported both ways', () => {
  it('count once', () => {
    expect(counted(['rtp', '1', 0], ['info', '1', 200], ['info', '2', 900], ['rtp', '2', 1000])).toBe('12');
  });

  it('count once when each INFO waits for the answer to the one before (linphone)', () => {
    const presses = Array.from('5550123456789');
    const events = presses.map((digit, i) => ['rtp', digit, i * 100] as const);
    const infos = presses.map((digit, i) => ['info', digit, 1600 + i * 500] as const);
    const all = [...events, ...infos].sort(([, , a], [, , b]) => a - b);
    expect(counted(...all)).toBe('5550123456789');
  });

  it('are counted each, since a report belongs to one press only', () => {
    expect(counted(['rtp', '5', 0], ['rtp', '5', 300], ['info', '5', 400], ['info', '5', 2900])).toBe('55');
    expect(counted(['info', '5', 0], ['info', '5', 100], ['rtp', '5', 200])).toBe('55');
  });

  it('do not suppress later ones of the other way', () => {
    expect(counted(['info', '5', 0], ['rtp', '5', 1500])).toBe('55');
    expect(counted(['rtp', '5', 0], ['info', '5', 10_000])).toBe('55');
  });
});
