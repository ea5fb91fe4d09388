import { expect, it } from 'vitest';
import { StoppedWaiting, unlessAborted } from './stopped-waiting.js';

it('waits for what comes, and fails as that does', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7);
  const failure = new Error('why');
  await expect(unlessAborted(Promise.reject(failure), signal)).rejects.toBe(failure);
});

it('ends when the gateway is told to stop, whatever it waits for', async () => {
  const quit = new AbortController();
  const endless = unlessAborted(new Promise(() => undefined), quit.signal);
  const failing = unlessAborted(
    new Promise((_resolve, reject) =>
      quit.signal.addEventListener('abort', () => reject(new Error('aborted'))),
    ),
    quit.signal,
  );
  quit.abort();
  await expect(endless).rejects.toThrow(StoppedWaiting);
  await expect(failing).rejects.toThrow(StoppedWaiting);
  // What is there already need not be waited for.
  expect(await unlessAborted(Promise.resolve(7), quit.signal)).toBe(7);
});
