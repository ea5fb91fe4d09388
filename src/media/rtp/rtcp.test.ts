import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ntpMiddle,
  readByeSources,
  readReportBlocks,
  readSenderInfo,
  ReceptionStatistics,
  RTCP_BYE,
  RTCP_RECEIVER_REPORT,
  RTCP_SENDER_REPORT,
  RTCP_SOURCE_DESCRIPTION,
  RtcpCursor,
  toNtp,
  writeRtcpReport,
} from './rtcp.js';

const block = {
  ssrc: 0xcafebabe,
  fractionLost: 25,
  packetsLost: -3,
  highestSequence: 0x1ffff,
  jitter: 77,
  lastSenderReport: 0x12345678,
  delaySinceLastSenderReport: 65536,
};
const sender = {
  ntpSeconds: 0xe0000000,
  ntpFraction: 0x80000000,
  rtpTimestamp: 0xfffffff0,
  packetCount: 10,
  octetCount: 1600,
};

function typesOf(packet: Uint8Array): number[] {
  const cursor = new RtcpCursor();
  const types: number[] = [];
  cursor.open(packet);
  while (cursor.next()) types.push(cursor.type);
  return types;
}

describe('RTCP', () => {
  it('reads the compound sender report that it writes', () => {
    const packet = writeRtcpReport({ ssrc: 1, sender, blocks: [block], cname: 'patchbay', bye: true });
    expect(typesOf(packet)).toEqual([RTCP_SENDER_REPORT, RTCP_SOURCE_DESCRIPTION, RTCP_BYE]);
    const cursor = new RtcpCursor();
    cursor.open(packet);
    cursor.next();
    expect(readSenderInfo(packet, cursor)).toEqual(sender);
    expect(readReportBlocks(packet, cursor)).toEqual([block]);
    cursor.next();
    cursor.next();
    expect(readByeSources(packet, cursor)).toEqual([1]);
  });

  it.each(['', 'a', 'ab', 'abc', 'abcd'])('ends the SDES item list with a zero byte: "%s"', (cname) => {
    const packet = writeRtcpReport({ ssrc: 1, blocks: [], cname });
    expect(packet.length % 4).toBe(0);
    expect(packet.at(-1)).toBe(0);
    expect(typesOf(packet)).toEqual([RTCP_RECEIVER_REPORT, RTCP_SOURCE_DESCRIPTION]);
  });

  it('reads no more blocks than are there, whatever the count says', () => {
    const packet = writeRtcpReport({ ssrc: 1, blocks: [block], cname: '' });
    packet[0] = 0x80 | 31;
    const cursor = new RtcpCursor();
    cursor.open(packet);
    expect(cursor.next()).toBe(true);
    expect(readReportBlocks(packet, cursor)).toHaveLength(1);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const cursor = new RtcpCursor();
        if (bytes.length > 2) {
          bytes[0] = (bytes[0]! & 0x3f) | 0x80;
          bytes[2] = 0;
        }
        cursor.open(bytes);
        let last = 0;
        while (cursor.next()) {
          expect(cursor.start).toBeGreaterThan(last);
          expect(cursor.end).toBeLessThanOrEqual(bytes.length);
          last = cursor.start;
          readSenderInfo(bytes, cursor);
          readReportBlocks(bytes, cursor);
          readByeSources(bytes, cursor);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('NTP time', () => {
  it('counts from 1900', () => {
    expect(toNtp(500)).toEqual({ seconds: 2_208_988_800, fraction: 0x80000000 });
    expect(ntpMiddle({ seconds: 0x12345678, fraction: 0x9abcdef0 })).toBe(0x56789abc);
  });
});

describe('reception statistics', () => {
  it('counts loss over the wrap and for each interval', () => {
    const statistics = new ReceptionStatistics(9, 8000);
    for (const [i, sequence] of [65534, 65535, 1, 2].entries()) {
      statistics.onPacket(sequence, i * 160, i * 20);
    }
    const report = statistics.report(80);
    expect(report).toMatchObject({ ssrc: 9, packetsLost: 1, fractionLost: 51, highestSequence: 0x10002 });
    statistics.onPacket(3, 800, 100);
    expect(statistics.report(100).fractionLost).toBe(0);
  });

  it('measures jitter in clock units', () => {
    const even = new ReceptionStatistics(1, 8000);
    const uneven = new ReceptionStatistics(1, 8000);
    for (let i = 0; i < 500; i += 1) {
      even.onPacket(i, i * 160, i * 20);
      uneven.onPacket(i, i * 160, i * 20 + (i % 2) * 10);
    }
    expect(even.report(0).jitter).toBe(0);
    expect(uneven.jitterMs).toBeCloseTo(10, 1);
  });

  it('takes no jitter from packets that repeat a timestamp', () => {
    const statistics = new ReceptionStatistics(1, 8000);
    for (let i = 0; i < 500; i += 1) {
      statistics.onPacket(2 * i, i * 160, i * 20);
      statistics.onPacket(2 * i + 1, i * 160, i * 20 + 15);
    }
    expect(statistics.report(0)).toMatchObject({ jitter: 0, packetsLost: 0 });
  });

  it('gives the delay since the last sender report', () => {
    const statistics = new ReceptionStatistics(1, 8000);
    statistics.onSenderReport(sender, 1000);
    expect(statistics.report(1500)).toMatchObject({
      lastSenderReport: 0x00008000,
      delaySinceLastSenderReport: 32768,
    });
  });
});
