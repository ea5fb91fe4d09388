import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeTransportFeedback } from './feedback.js';

/** A reader written from the draft, independent of the writer. */
function read(packet: Buffer): { base: number; arrivals: number[] } {
  const base = packet.readUInt16BE(12);
  const count = packet.readUInt16BE(14);
  const symbols: number[] = [];
  let at = 20;
  while (symbols.length < count) {
    const chunk = packet.readUInt16BE(at);
    at += 2;
    if (chunk >> 15 === 0) {
      for (let i = 0; i < (chunk & 0x1fff); i += 1) symbols.push((chunk >> 13) & 3);
    } else {
      expect((chunk >> 14) & 1).toBe(1);
      for (let i = 6; i >= 0; i -= 1) symbols.push((chunk >> (2 * i)) & 3);
    }
  }
  let time = packet.readUIntBE(16, 3) * 64;
  const arrivals = symbols.slice(0, count).map((symbol) => {
    if (symbol === 0) return Number.NaN;
    time += (symbol === 1 ? packet.readUInt8(at) : packet.readInt16BE(at)) * 0.25;
    at += symbol;
    return time;
  });
  expect(packet.length - at).toBeLessThan(4);
  return { base, arrivals };
}

const write = (arrivals: readonly number[], baseSequence = 7): Buffer =>
  writeTransportFeedback({ sender: 1, source: 2, baseSequence, arrivals, feedbackCount: 3 });

describe('transport-wide feedback', () => {
  it('reports arrivals and losses', () => {
    const arrivals = [6400, 6400.25, Number.NaN, 6410, 6409.5, Number.NaN, 6490, 6500];
    expect(read(write(arrivals))).toEqual({ base: 7, arrivals });
  });

  it('uses few bytes for a steady flow', () => {
    expect(write(Array.from({ length: 40 }, (_, i) => 1000 + i * 5)).length).toBe(20 + 4 + 40);
  });

  it('reports any history within a tick', () => {
    const arrival = fc.option(fc.double({ min: 10_000, max: 12_000, noNaN: true }), { nil: Number.NaN });
    fc.assert(
      fc.property(fc.double({ min: 10_000, max: 12_000, noNaN: true }), fc.array(arrival), (first, rest) => {
        const arrivals = [first, ...rest];
        const told = read(write(arrivals)).arrivals;
        expect(told.length).toBe(arrivals.length);
        told.forEach((time, i) => {
          if (Number.isNaN(arrivals[i]!)) expect(time).toBeNaN();
          else expect(Math.abs(time - arrivals[i]!)).toBeLessThanOrEqual(0.125);
        });
      }),
    );
  });
});
