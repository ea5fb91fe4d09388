import { setImmediate } from 'node:timers/promises';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { DEFAULT_QUEUE_LIMITS, type QueueLimits } from '../webhooks/shares.js';
import { WebhookQueue } from '../webhooks/webhook-queue.js';
import { MemoryUsageStore } from './memory-usage-store.js';

interface Attempt {
  readonly id: string;
  readonly ends: (error?: Error) => Promise<void>;
}

/** A queue whose attempts end when the test says so. */
export function queueForTests(
  limits: Partial<QueueLimits> = {},
  store = new MemoryUsageStore(),
  random = () => 0.5,
) {
  const clock = new FakeClock();
  const underWay: Attempt[] = [];
  const warnings: string[] = [];
  const queue = new WebhookQueue({
    store,
    clock,
    log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
    random,
    limits: { ...DEFAULT_QUEUE_LIMITS, ...limits },
    send: ({ id }) =>
      new Promise((resolve, reject) => {
        const ends = async (error?: Error) => {
          underWay.splice(underWay.indexOf(attempt), 1);
          if (error) reject(error);
          else resolve();
          await setImmediate();
        };
        const attempt = { id, ends };
        underWay.push(attempt);
      }),
  });
  const add = (id: string, participantId: string, server = 'app.example', accountId = 'a') =>
    queue.add({
      id,
      accountId,
      url: `https://${server}/hook`,
      createdAt: clock.now(),
      body: { event: 'onConnect', timestamp: String(clock.now()), participantId, deviceId: 'd' },
    });
  return { queue, store, clock, underWay, warnings, add, ids: () => underWay.map(({ id }) => id) };
}
