import { Duplex } from 'node:stream';
import { afterEach, expect, it, vi } from 'vitest';
import { hangUp } from './hang-up.js';

afterEach(() => void vi.useRealTimers());

it('frees the socket of a peer that does not read', () => {
  vi.useFakeTimers();
  const stream = new Duplex({ read: () => undefined, write: () => undefined });
  hangUp(stream, 'no');
  expect(stream.destroyed).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(stream.destroyed).toBe(true);
});
