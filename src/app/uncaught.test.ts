import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { surviveUncaught } from './process-events.js';

it.each(['uncaughtException', 'unhandledRejection'])('logs and counts an %s', async (event) => {
  const lines: string[] = [];
  const process = new EventEmitter();
  const metrics = new Registry();
  surviveUncaught(process, pino({}, { write: (line: string) => void lines.push(line) }), metrics);
  expect(process.emit(event, new Error('a fault'))).toBe(true);
  expect(lines.join()).toContain('a fault');
  expect(await metrics.metrics()).toContain('patchbay_uncaught_errors_total 1');
});
