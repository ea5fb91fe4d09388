import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Renumbering } from './renumbering.js';
import { sequenceDelta, timestampDelta } from './header.js';
import { rtpPacket } from './testing/packets.js';

interface Sent {
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc?: number;
  readonly event?: boolean;
  /** Without a payload. */
  readonly empty?: boolean;
}

interface Out {
  readonly sequence: number;
  readonly timestamp: number;
  readonly source: Sent;
}

/** Numbers and timestamps that are sent for packets that come every 20 ms. */
function renumber(sent: readonly Sent[], kind: 'audio' | 'video' = 'audio', clockRate = 8000): Out[] {
  const numbers = new Renumbering(clockRate, kind);
  return sent.flatMap((source, index) => {
    const packet = rtpPacket({ ...source, payload: new Uint8Array(1) });
    if (source.empty === true) {
      numbers.skip(packet);
      return [];
    }
    if (!numbers.take(packet, source.event ?? false, index * 20)) return [];
    return [{ sequence: numbers.sequence, timestamp: numbers.timestamp, source }];
  });
}

const stream = (from: number, count: number, timestamp: number, step = 160): Sent[] =>
  Array.from({ length: count }, (_, n) => ({
    sequence: (from + n) & 0xffff,
    timestamp: (timestamp + step * n) >>> 0,
  }));
const numberSteps = (out: readonly Out[]): number[] =>
  out.slice(1).map(({ sequence }, i) => sequenceDelta(sequence, out[i]!.sequence));
const timeSteps = (out: readonly Out[]): number[] =>
  out.slice(1).map(({ timestamp }, i) => timestampDelta(timestamp, out[i]!.timestamp));

describe('the numbers of a track', () => {
  it('are the source’s while those are continuous, with losses and over both wraps', () => {
    const sent = stream(65500, 100, 2 ** 32 - 3200).filter((_, index) => index % 7 !== 3);
    expect(renumber(sent)).toEqual(sent.map((source) => ({ ...source, source })));
  });

  it('keep packets that the network swapped in their place', () => {
    const sent = stream(10, 20, 0);
    const swapped = [...sent.slice(0, 8), sent[10]!, sent[8]!, sent[9]!, ...sent.slice(11)];
    expect(renumber(swapped)).toEqual(swapped.map((source) => ({ ...source, source })));
  });

  it.each([
    ['fall back, timestamps go on', stream(7000, 100, 0), stream(2000, 100, 16_000)],
    ['fall back by less than reordering does', stream(7000, 100, 0), stream(7060, 100, 16_000)],
    ['fall back with the timestamps', stream(7000, 100, 0), stream(1234, 100, 3_000_000_000)],
    ['fall back a little with the timestamps', stream(7000, 100, 0), stream(7060, 100, 9_600)],
    ['leap ahead', stream(7000, 100, 0), stream(30_000, 100, 16_000)],
    ['start with a stray packet', stream(12_000, 1, 0), stream(7000, 100, 160)],
    ['have a stray packet among them', [...stream(7000, 50, 0), ...stream(40, 1, 9)], stream(7050, 50, 8000)],
  ])('rise one by one when the source’s %s', (_what, before, after) => {
    const out = renumber([...before, ...after]);
    const rising: Out[] = [];
    for (const packet of out) {
      const last = rising.at(-1);
      if (!last || sequenceDelta(packet.sequence, last.sequence) > 0) rising.push(packet);
    }
    // Few packets are late, or dropped until the restart is certain.
    expect(rising.length).toBeGreaterThanOrEqual(before.length + after.length - 10);
    expect(numberSteps(rising).every((step) => step === 1)).toBe(true);
    expect(timeSteps(rising).every((step) => step >= 160 && step <= 1800)).toBe(true);
  });

  it('have no gap where packets without a payload were, whose timestamps are those of the packets before', () => {
    const probing = [0, 1, 1, 1, 2, 3, 3, 4].map((n, i, all) => ({
      sequence: 65_533 + i,
      timestamp: 900 + 160 * n,
      empty: n === all[i - 1],
    }));
    const out = renumber(probing);
    expect(numberSteps(out)).toEqual([1, 1, 1, 1]);
    expect(out.map(({ timestamp }) => timestamp)).toEqual([900, 1060, 1220, 1380, 1540]);
  });

  it('do not follow two sources that take turns', () => {
    const out = renumber(
      stream(7000, 50, 0).flatMap((packet) => [packet, { ...packet, sequence: packet.sequence + 20_000 }]),
    );
    expect(out).toHaveLength(50);
  });
});

describe('the timestamps of a track', () => {
  it.each([-4000, -8000, -23_680, -40_000, -160_000, 4000, 40_000, 28_800_000, 2 ** 31])(
    'go on when the source’s step by %i',
    (step) => {
      const out = renumber([...stream(1, 50, 900_000), ...stream(51, 50, 900_000 + 50 * 160 + step)]);
      expect(timeSteps(out).every((s) => s === 160)).toBe(true);
    },
  );

  it('go on when the source’s stand still', () => {
    const out = renumber(stream(1, 50, 900_000, 0));
    expect(timeSteps(out).every((s) => s === 160)).toBe(true);
  });

  it('leave a silence as long as it was', () => {
    const numbers = new Renumbering(8000, 'audio');
    numbers.take(rtpPacket({ sequence: 1, timestamp: 0 }), false, 0);
    numbers.take(rtpPacket({ sequence: 2, timestamp: 80_000 }), false, 10_000);
    expect(numbers.timestamp).toBe(80_000);
    numbers.take(rtpPacket({ sequence: 3, timestamp: 0 }), false, 20_000);
    expect(numbers.timestamp).toBe(160_000);
  });

  it('are not moved by a telephone event, which has that of its beginning', () => {
    const audio = stream(1, 50, 900_000);
    const event = { sequence: 51, timestamp: 900_000 + 40 * 160, event: true };
    const sent = [...audio, event, ...stream(52, 10, 900_000 + 51 * 160)];
    expect(renumber(sent)).toEqual(
      sent.map(({ sequence, timestamp }, i) => ({ sequence, timestamp, source: sent[i] })),
    );
  });

  it('stay the source’s for video, whose pictures may be sent in another order', () => {
    const sent = [0, 9000, 3000, 6000].map((timestamp, i) => ({ sequence: i, timestamp }));
    expect(renumber(sent, 'video', 90_000)).toEqual(sent.map((source) => ({ ...source, source })));
  });
});

describe('the numbers after packets that were left out', () => {
  const empty = (sequence: number): Sent => ({ sequence, timestamp: 0, empty: true });

  it('go on when video jumps by half of all numbers', () => {
    const sent = [
      { sequence: 65_500, timestamp: 0 },
      empty(0),
      ...[32_733, 32_734].map((sequence) => ({ sequence, timestamp: 0 })),
    ];
    expect(renumber(sent, 'video').map(({ sequence }) => sequence)).toEqual([65_500, 0]);
  });

  it('are not those of other packets when one of those comes again, with a payload', () => {
    const sent = [{ sequence: 65_500, timestamp: 0 }, empty(65_521), { sequence: 65_521, timestamp: 0 }];
    expect(renumber(sent).map(({ sequence }) => sequence)).toEqual([65_500]);
  });

  it('are not far ahead however many packets are missing before them', () => {
    const sent = [
      { sequence: 0, timestamp: 0 },
      ...Array.from({ length: 40 }, (_, i) => empty(2900 * (i + 1))),
    ];
    const last = { sequence: (2900 * 40 + 1) & 0xffff, timestamp: 160 };
    const [first, next] = renumber(
      [...sent.map((one) => ({ ...one, sequence: one.sequence & 0xffff })), last],
      'video',
    );
    expect(sequenceDelta(next!.sequence, first!.sequence)).toBeLessThan(3000);
    expect(sequenceDelta(next!.sequence, first!.sequence)).toBeGreaterThan(0);
  });
});

it('no number is sent twice, or further behind than SRTP accepts, whatever comes', () => {
  const sent = fc.record({
    sequence: fc.oneof(
      fc.nat({ max: 40 }),
      fc.integer({ min: 65_500, max: 65_535 }),
      fc.nat({ max: 65_535 }),
    ),
    timestamp: fc.oneof(fc.nat({ max: 4000 }), fc.nat({ max: 2 ** 32 - 1 })),
    ssrc: fc.constantFrom(1, 1, 1, 2),
    event: fc.constantFrom(false, false, true),
    empty: fc.constantFrom(false, false, false, true),
  });
  fc.assert(
    fc.property(
      fc.array(sent, { maxLength: 300 }),
      fc.constantFrom('audio' as const, 'video' as const),
      (all, kind) => {
        // `extended` counts the cycles too (RFC 3550 A.1): after 65,536 a number may come again.
        const newest = { sequence: -1, timestamp: -1, extended: 0 };
        const seen = new Map<number, Sent>();
        for (const { sequence, timestamp, source } of renumber(all, kind)) {
          const delta = newest.sequence < 0 ? 0 : sequenceDelta(sequence, newest.sequence);
          const extended = newest.extended + delta;
          const before = seen.get(extended);
          // A duplicate is one of the source's making.
          if (before) expect([before.ssrc, before.sequence]).toEqual([source.ssrc, source.sequence]);
          seen.set(extended, source);
          const isNewest = newest.sequence < 0 || delta > 0;
          if (!isNewest) expect(sequenceDelta(sequence, newest.sequence)).toBeGreaterThan(-1024);
          if (isNewest && kind === 'audio' && !source.event) {
            if (newest.timestamp >= 0) expect(timestampDelta(timestamp, newest.timestamp)).toBeGreaterThan(0);
            newest.timestamp = timestamp;
          }
          if (isNewest) Object.assign(newest, { sequence, extended });
        }
      },
    ),
    { numRuns: 500 },
  );
});
