import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { onStopSignals, surviveUncaught } from './process.js';

function stopping() {
  const source = new EventEmitter();
  const taken: string[] = [];
  let time = 5_000;
  const steps = ['drain', 'hurry', 'exit'].map((step) => (signal: string) => {
    taken.push(`${step} ${signal}`);
  });
  onStopSignals(source, steps, () => time);
  const at = (ms: number, signal: string): void => {
    time = 5_000 + ms;
    source.emit(signal, signal);
  };
  return { at, taken };
}

describe('stop signals', () => {
  it('within a second count as one request, whichever they are and however many', () => {
    const { at, taken } = stopping();
    at(0, 'SIGTERM');
    at(0, 'SIGTERM');
    at(1, 'SIGINT');
    at(999, 'SIGHUP');
    expect(taken).toEqual(['drain SIGTERM']);
  });

  it('a second later count as another request', () => {
    const { at, taken } = stopping();
    at(0, 'SIGHUP');
    at(600, 'SIGHUP');
    at(1_000, 'SIGINT');
    at(1_001, 'SIGINT');
    at(1_999, 'SIGINT');
    at(2_000, 'SIGTERM');
    at(9_000, 'SIGTERM');
    expect(taken).toEqual(['drain SIGHUP', 'hurry SIGINT', 'exit SIGTERM', 'exit SIGTERM']);
  });
});

it.each(['uncaughtException', 'unhandledRejection'])('logs and counts an %s', async (event) => {
  const lines: string[] = [];
  const process = new EventEmitter();
  const metrics = new Registry();
  surviveUncaught(process, pino({}, { write: (line: string) => void lines.push(line) }), metrics);
  expect(process.emit(event, new Error('a fault'))).toBe(true);
  expect(lines.join()).toContain('a fault');
  expect(await metrics.metrics()).toContain('patchbay_uncaught_errors_total 1');
});
