import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ReportBlock } from '../rtp/index.js';
import { directionQuality } from './direction-quality.js';
import { ReceiverReports } from './receiver-reports.js';

const LSR = 0x12345678;
const REPORTER = 5;

const block = (parts: Partial<ReportBlock> = {}): ReportBlock => ({
  ssrc: 1,
  fractionLost: 0,
  packetsLost: 0,
  highestSequence: 1000,
  jitter: 0,
  lastSenderReport: 0,
  delaySinceLastSenderReport: 0,
  ...parts,
});

describe('what a receiver reports of our stream', () => {
  let reports: ReceiverReports;
  let now: number;
  const sent = { packets: 1000, clockRate: 8000 };
  const take = (parts: Partial<ReportBlock>, reporter = REPORTER): boolean =>
    reports.onBlock(reporter, block(parts), sent, now);

  beforeEach(() => {
    reports = new ReceiverReports();
    now = 10_000;
  });

  it('is nothing before the first report', () => {
    expect(directionQuality([reports.figures(1000)])).toEqual({ packets: 1000 });
  });

  it('gives loss, jitter in ms and round trip', () => {
    reports.onSent(LSR, now);
    now += 150;
    expect(
      take({ packetsLost: 30, jitter: 80, lastSenderReport: LSR, delaySinceLastSenderReport: 6554 }),
    ).toBe(true);
    expect(directionQuality([reports.figures(1000)])).toEqual({
      packets: 1000,
      lost: 30,
      jitterMs: 10,
      roundTripMs: 50,
    });
  });

  it('finds the sender report among the last eight, and smooths round trips', () => {
    for (let i = 0; i < 8; i += 1) reports.onSent(LSR + i, now + 100 * i);
    now += 900;
    take({ lastSenderReport: LSR });
    expect(reports.roundTripMs).toBe(900);
    take({ highestSequence: 1001, lastSenderReport: LSR + 7 });
    expect(reports.roundTripMs).toBe(725);
  });

  it('is at least as many lost as before, though packets come late', () => {
    take({ packetsLost: 30 });
    expect(take({ packetsLost: 28, highestSequence: 1001 })).toBe(true);
    expect(take({ packetsLost: -1, highestSequence: 1002 })).toBe(true);
    expect(reports.figures(1000).lost).toBe(30);
  });

  it('goes on counting for another reporter, which begins with 0', () => {
    take({ packetsLost: 30 });
    take({ packetsLost: 2, highestSequence: 5 }, REPORTER + 1);
    take({ packetsLost: 3, highestSequence: 6 }, REPORTER + 1);
    expect(reports.figures(1000).lost).toBe(33);
  });

  it('counts once what a receiver reports under several SSRCs', () => {
    for (const [i, packetsLost] of [10, 12, 20, 20, 31].entries())
      take({ packetsLost, highestSequence: 1000 + i }, REPORTER + (i % 2));
    expect(reports.figures(1000).lost).toBe(31);
  });

  it('takes packets that come late for no other receiver', () => {
    for (const [i, packetsLost] of [10, 14, 12, 20, 19].entries())
      take({ packetsLost, highestSequence: 1000 + i }, REPORTER + (i % 2));
    expect(reports.figures(1000).lost).toBe(20);
  });

  it('does not count what was never sent to it', () => {
    const told = (packetsLost: number, skipped: number, reporter = REPORTER): boolean =>
      reports.onBlock(reporter, block({ packetsLost }), { ...sent, skipped }, now);
    told(30, 20);
    expect(reports.figures(1000).lost).toBe(10);
    told(64, 50);
    expect(reports.figures(1000).lost).toBe(14);
    // Who begins to hear it now has missed what is skipped from now on.
    told(0, 50, REPORTER + 1);
    told(7, 52, REPORTER + 1);
    expect(reports.figures(1000).lost).toBe(19);
  });

  it('leaves out what is under way', () => {
    reports.onBlock(REPORTER, block({ packetsLost: 90 }), { ...sent, reached: 900 }, now);
    expect(reports.figures(1000)).toMatchObject({ lost: 90, expected: 900 });
  });

  it('counts from now for a reporter that has heard the stream from an earlier process', () => {
    expect(take({ packetsLost: 5000 })).toBe(false);
    expect(take({ packetsLost: 5007, highestSequence: 1001 })).toBe(true);
    expect(reports.figures(1000).lost).toBe(7);
  });

  it.each([
    ['is about a stream that was never sent', { ...sent, packets: 0 }, {}],
    ['has a jitter of minutes', sent, { jitter: 0xffffffff }],
    ['lost more than was sent', sent, { packetsLost: 1001 }],
    ['answers a sender report that was never sent', sent, { lastSenderReport: 99 }],
    [
      'kept ours longer than it has been on its way',
      sent,
      { lastSenderReport: LSR, delaySinceLastSenderReport: 65_536 },
    ],
  ])('is not taken when it %s', (_, stream, parts) => {
    reports.onSent(LSR, now);
    expect(reports.onBlock(REPORTER, block(parts), stream, now + 100)).toBe(false);
    expect(reports.roundTripMs).toBeUndefined();
    expect(reports.figures(1000).lost ?? 0).toBe(0);
  });

  it('is not taken when its counters run backward, unless they go on from there', () => {
    take({ packetsLost: 10, highestSequence: 0x20000 });
    const back = { packetsLost: 400, highestSequence: 0x100 };
    expect([take(back), take(back)]).toEqual([false, false]);
    expect(reports.figures(1000).lost).toBe(10);
    expect(take(back)).toBe(true);
    expect(reports.figures(1000).lost).toBe(410);
  });

  it('follows sequence numbers over the wrap of 32 bits', () => {
    take({ highestSequence: 0xffffffff });
    expect(take({ highestSequence: 2 })).toBe(true);
  });

  it('has what was discarded of VoIP metrics, and the round trip where we have no measure', () => {
    const metrics = { ssrc: 1, lossRate: 0.02, discardRate: 0.1, roundTripMs: 80 };
    expect(reports.onVoipMetrics(metrics, 1000)).toBe(true);
    expect(reports.figures(1000)).toMatchObject({ lost: 20, discarded: 100, roundTripMs: 80 });
    expect(reports.onVoipMetrics({ ...metrics, lossRate: 0.9, discardRate: 0.9 }, 1000)).toBe(false);
    expect(reports.onVoipMetrics(metrics, 0)).toBe(false);
  });

  it('is never a number that is none, whatever comes', () => {
    const uint32 = fc.nat(0xffffffff);
    const any = fc.record({
      reporter: fc.nat(2),
      packets: fc.nat(2000),
      reached: fc.nat(2500),
      skipped: fc.nat(100),
      packetsLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
      highestSequence: uint32,
      jitter: uint32,
      lastSenderReport: fc.constantFrom(0, LSR, 1),
      delaySinceLastSenderReport: uint32,
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), (all) => {
        const subject = new ReceiverReports();
        let lost = 0;
        for (const { reporter, packets, reached, skipped, ...parts } of all) {
          subject.onSent(LSR, now);
          subject.onBlock(reporter, block(parts), { packets, clockRate: 8000, reached, skipped }, now + 30);
          const quality = directionQuality([
            { ...subject.figures(packets), codec: { scale: 'narrowband', ie: 0, bpl: 25.1 } },
          ]);
          for (const value of Object.values(quality)) expect(value).toBeGreaterThanOrEqual(0);
          expect(quality.lost ?? 0).toBeGreaterThanOrEqual(lost);
          lost = quality.lost ?? 0;
        }
      }),
    );
  });
});
