import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Heartbeat } from './channels.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function channel() {
  const sent: string[] = [];
  return {
    sent,
    open: true,
    buffered: 0,
    isOpen() {
      return this.open;
    },
    bufferedAmount() {
      return this.buffered;
    },
    sendMessage: (message: string) => sent.push(message) > 0,
  };
}

it('sends PING on an open channel', () => {
  const heartbeat = channel();
  const beating = new Heartbeat(heartbeat);
  heartbeat.open = false;
  vi.advanceTimersByTime(3_000);
  heartbeat.open = true;
  vi.advanceTimersByTime(6_000);
  expect(heartbeat.sent).toEqual(['PING', 'PING']);
  beating.stop();
  expect(vi.getTimerCount()).toBe(0);
});

it('sends none to a page that has not read the last', () => {
  const heartbeat = channel();
  const beating = new Heartbeat(heartbeat);
  heartbeat.buffered = 4;
  vi.advanceTimersByTime(30_000);
  expect(heartbeat.sent).toEqual([]);
  beating.stop();
});

it('takes nothing but PONG for a sign of life, whatever a page sends', () => {
  const beating = new Heartbeat(channel());
  expect(beating.isAnswer('PONG')).toBe(true);
  const bytes = fc.uint8Array().map((array) => Buffer.from(array));
  const other = fc.oneof(fc.string(), fc.constantFrom('pong', 'PONG ', 'PING', Buffer.from('PONG')), bytes);
  fc.assert(
    fc.property(
      other.filter((message) => message !== 'PONG'),
      (message) => !beating.isAnswer(message),
    ),
  );
  beating.stop();
});
