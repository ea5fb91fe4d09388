import { setTimeout as sleep } from 'node:timers/promises';

/** How long a REST request is made again and again, while gateways die. */
const PATIENCE_MS = 200_000;
const AGAIN_MS = 100;

/** Makes a REST request again until it succeeds or is refused for good: the gateway may die at any moment. */
export async function patiently<T>(request: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await request();
    } catch (error) {
      const isRefused = /: 4\d\d /.test(String(error));
      if (isRefused || performance.now() > until) throw error;
      await sleep(AGAIN_MS);
    }
  }
}
