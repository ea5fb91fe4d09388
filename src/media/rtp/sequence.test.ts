import { describe, expect, it } from 'vitest';
import { nextSequence, sequenceDelta, SequenceUnwrapper, timestampDelta } from './header.js';

describe('sequence arithmetic', () => {
  it('compares over the wrap', () => {
    expect(sequenceDelta(2, 65534)).toBe(4);
    expect(sequenceDelta(65534, 2)).toBe(-4);
    expect(timestampDelta(100, 0xffffffff)).toBe(101);
    expect(timestampDelta(0xffffffff, 100)).toBe(-101);
    expect(nextSequence(65535)).toBe(0);
  });

  it('counts on over the wrap, late packets before it', () => {
    const unwrapper = new SequenceUnwrapper();
    const first = unwrapper.unwrap(65534);
    expect(unwrapper.unwrap(1)).toBe(first + 3);
    expect(unwrapper.unwrap(65535)).toBe(first + 1);
    expect(unwrapper.unwrap(2)).toBe(first + 4);
  });
});
