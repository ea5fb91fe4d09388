import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Heartbeat } from './heartbeat.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function channel() {
  let listener: (message: string | Buffer | ArrayBuffer) => void = () => undefined;
  const sent: string[] = [];
  return {
    sent,
    open: true,
    isOpen() {
      return this.open;
    },
    sendMessage: (message: string) => sent.push(message) > 0,
    onMessage: (added: typeof listener) => (listener = added),
    receive: (message: string | Buffer) => listener(message),
  };
}

it('sends PING on an open channel and knows PONG', () => {
  const [heartbeat, onPong] = [channel(), vi.fn()];
  const beating = new Heartbeat(heartbeat, onPong);
  heartbeat.open = false;
  vi.advanceTimersByTime(3_000);
  heartbeat.open = true;
  vi.advanceTimersByTime(6_000);
  expect(heartbeat.sent).toEqual(['PING', 'PING']);
  heartbeat.receive('PING');
  expect(onPong).not.toHaveBeenCalled();
  heartbeat.receive('PONG');
  expect(onPong).toHaveBeenCalledTimes(1);
  beating.stop();
  expect(vi.getTimerCount()).toBe(0);
});

it('takes nothing else for a sign of life, whatever a page sends', () => {
  const [heartbeat, onPong] = [channel(), vi.fn()];
  const beating = new Heartbeat(heartbeat, onPong);
  const bytes = fc.uint8Array().map((array) => Buffer.from(array));
  const other = fc.oneof(fc.string(), fc.constantFrom('pong', 'PONG ', Buffer.from('PONG')), bytes);
  fc.assert(
    fc.property(
      other.filter((message) => message !== 'PONG'),
      (message) => heartbeat.receive(message),
    ),
  );
  expect(onPong).not.toHaveBeenCalled();
  beating.stop();
});
