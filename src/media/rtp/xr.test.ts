import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RTCP_EXTENDED_REPORT, RtcpCursor } from './rtcp.js';
import { extendedReport, voipMetricsBlock } from './testing/packets.js';
import { readVoipMetrics, type VoipMetrics } from './xr.js';

function read(packet: Buffer): { metrics: VoipMetrics[]; isWhole: boolean } {
  const cursor = new RtcpCursor();
  cursor.open(packet);
  if (!cursor.next() || cursor.type !== RTCP_EXTENDED_REPORT) throw new Error('not an XR packet');
  const metrics: VoipMetrics[] = [];
  const isWhole = readVoipMetrics(packet, cursor, (found) => metrics.push(found));
  return { metrics, isWhole };
}

const block = voipMetricsBlock({ ssrc: 7, loss: 13, discard: 64, roundTripMs: 300 });

describe('extended reports', () => {
  it('tell the VoIP metrics of a stream, among blocks of other kinds', () => {
    const other = Buffer.from([4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(read(extendedReport(other, block))).toEqual({
      metrics: [{ ssrc: 7, lossRate: 13 / 256, discardRate: 0.25, roundTripMs: 300 }],
      isWhole: true,
    });
    expect(read(extendedReport(voipMetricsBlock({ ssrc: 7 }))).metrics).toEqual([
      { ssrc: 7, lossRate: 0, discardRate: 0 },
    ]);
  });

  it.each([
    ['is longer than the packet', 9],
    ['is shorter than its kind', 7],
    ['is empty', 0],
  ])('are not whole when a block of metrics %s', (_, words) => {
    const wrong = Buffer.from(block);
    wrong.writeUInt16BE(words, 2);
    expect(read(extendedReport(wrong))).toEqual({ metrics: [], isWhole: false });
  });

  it('are read within their bytes, whatever is in them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const whole = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 4)));
        for (const { lossRate, discardRate, roundTripMs = 0 } of read(extendedReport(whole)).metrics)
          expect(lossRate + discardRate + roundTripMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
