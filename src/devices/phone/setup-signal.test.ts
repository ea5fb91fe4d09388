import { describe, expect, it } from 'vitest';
import { Refusal } from './refusal.js';
import { SetupSignal } from './setup.js';

const REFUSAL = new Refusal(487, 'The caller cancelled the call.');

describe('the signal to a setup', () => {
  it('lets it go on until it aborts, and then for the first reason', () => {
    const signal = new SetupSignal();
    expect(() => signal.throwIfAborted()).not.toThrow();
    signal.abort(REFUSAL);
    signal.abort(new Refusal(480, 'The session was deleted.'));
    expect(signal.reason).toBe(REFUSAL);
    expect(() => signal.throwIfAborted()).toThrow(REFUSAL);
  });

  it('tells whoever waits, once, and not who waits no more', () => {
    const signal = new SetupSignal();
    const told: unknown[] = [];
    signal.onAbort(() => told.push('waits no more'));
    signal.onAbort(undefined);
    signal.onAbort((reason) => told.push(reason));
    signal.abort(REFUSAL);
    signal.abort(REFUSAL);
    expect(told).toEqual([REFUSAL]);
  });
});
