import { describe, expect, it } from 'vitest';
import { endedOutcome, refusedOutcome } from './refusal.js';

describe('the outcome of a call', () => {
  it.each([
    [403, 'client_error'],
    [486, 'client_error'],
    [487, 'cancelled'],
    [500, 'server_error'],
    [503, 'server_error'],
    [603, 'client_error'],
  ] as const)('refused with %i is %s', (status, outcome) => {
    expect(refusedOutcome(status)).toEqual({ outcome, reason: String(status) });
  });

  it.each([
    ['left', 'success'],
    ['participant-deleted', 'success'],
    ['media-timeout', 'client_error'],
    ['error', 'server_error'],
  ] as const)('ended by %s is %s', (reason, outcome) => {
    expect(endedOutcome(reason)).toEqual({ outcome, reason });
  });
});
