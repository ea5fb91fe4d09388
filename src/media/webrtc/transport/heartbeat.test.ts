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
    receive: (message: string) => listener(message),
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
