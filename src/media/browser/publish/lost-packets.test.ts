import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LossRepair } from './lost-packets.js';

let askedAt: number[];
let repair: LossRepair;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  askedAt = [];
  const send = (): void => void askedAt.push(performance.now());
  repair = new LossRepair({ localSsrc: 1, ssrc: 2, send, onUnrepairable: () => expect.unreachable() });
});

afterEach(() => {
  repair.stop();
  vi.useRealTimers();
});

const receive = (sequence: number): void => repair.onPacket(sequence, performance.now());

/** When a lost packet is asked for, in ms after the loss. */
function asks(sequence: number, forMs: number): number[] {
  askedAt = [];
  const lostAt = performance.now();
  receive(sequence);
  vi.advanceTimersByTime(forMs);
  return askedAt.map((at) => at - lostAt);
}

it('asks again after one and a half round trips, which it measures', () => {
  receive(1);
  // A guess before the first answer: 60 ms.
  expect(asks(3, 40)).toEqual([0]);
  receive(2);
  expect(asks(5, 130)).toEqual([0, 60, 120]);
});

it('measures no round trip by a packet that was asked for twice', () => {
  receive(1);
  expect(asks(3, 91)).toEqual([0, 90]);
  // One ms after the second request.
  receive(2);
  expect(asks(5, 85)).toEqual([0]);
});
