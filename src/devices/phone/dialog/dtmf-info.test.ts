import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigitMerger, digitOfInfo } from './dtmf-info.js';
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

  it('is a usable digit, none, or refused, whatever the body', () => {
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
  it('lets a press that comes both ways through once, and repeated presses each', () => {
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

  it('takes a phone that sends one way only at its word', () => {
    const merger = new DigitMerger(() => 0);
    expect(Array.from('1122').every((pressed) => merger.isNew('info', pressed))).toBe(true);
  });
});
