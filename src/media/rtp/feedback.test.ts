import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FEEDBACK_NACK,
  feedbackSource,
  readFirSources,
  readNack,
  readRemb,
  writeFir,
  writeNack,
  writePli,
  writeRemb,
} from './feedback.js';
import { RtcpCursor } from './rtcp.js';

function open(packet: Uint8Array): RtcpCursor {
  const cursor = new RtcpCursor();
  cursor.open(packet);
  expect(cursor.next()).toBe(true);
  return cursor;
}

function nacked(packet: Uint8Array): number[] {
  const sequences: number[] = [];
  readNack(packet, open(packet), (sequence) => sequences.push(sequence));
  return sequences;
}

describe('RTCP feedback', () => {
  it('writes a PLI of twelve bytes', () => {
    expect(writePli(1, 0xaabbccdd).toString('hex')).toBe('81ce000200000001aabbccdd');
  });

  it('names the source of a FIR in its own entry', () => {
    const packet = writeFir(1, 0xaabbccdd, 7);
    expect(readFirSources(packet, open(packet))).toEqual([0xaabbccdd]);
    expect(packet[16]).toBe(7);
  });

  it('packs near losses into one item, far ones into another, over the wrap', () => {
    const lost = [65534, 65535, 3, 14, 15, 400];
    const packet = writeNack(1, 2, lost);
    expect(packet.length).toBe(12 + 3 * 4);
    const cursor = open(packet);
    expect([cursor.count, feedbackSource(packet, cursor)]).toEqual([FEEDBACK_NACK, 2]);
    expect(nacked(packet)).toEqual(lost);
  });

  it('carries bit rates within the precision of 18 bits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000_000_000 }), (bitrate) => {
        const packet = writeRemb(1, bitrate, [5, 6]);
        const read = readRemb(packet, open(packet))!;
        expect(read).toBeLessThanOrEqual(bitrate);
        expect(read).toBeGreaterThanOrEqual(bitrate * (1 - 2 ** -17) - 1);
      }),
    );
  });

  it('stays inside any packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        if (bytes.length > 0) bytes[0] = (bytes[0]! & 0x3f) | 0x80;
        const cursor = new RtcpCursor();
        cursor.open(bytes);
        while (cursor.next()) {
          const source = feedbackSource(bytes, cursor);
          expect(source).toBeGreaterThanOrEqual(-1);
          readNack(bytes, cursor, (sequence) => expect(sequence).toBeLessThanOrEqual(0xffff));
          expect(readFirSources(bytes, cursor).every(Number.isInteger)).toBe(true);
          expect(readRemb(bytes, cursor)).not.toBeNaN();
        }
      }),
      { numRuns: 2000 },
    );
  });
});
