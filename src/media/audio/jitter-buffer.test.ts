import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { rtpPacket } from '../rtp/testing/packets.js';
import { JitterBuffer } from './jitter-buffer.js';
import type { Inserted } from './jitter-buffer.js';

describe('jitter buffer', () => {
  let buffer: JitterBuffer;

  const insert = (sequence: number, ssrc = 1): Inserted => {
    const packet = rtpPacket({ sequence, timestamp: sequence * 160, ssrc, payload: Uint8Array.of(sequence) });
    return buffer.insert(packet, 12, 13);
  };
  const take = (): number | undefined => {
    const packet = buffer.peek();
    const first = packet?.payload[0];
    buffer.shift();
    return first;
  };
  const drain = (): (number | undefined)[] => Array.from({ length: buffer.size }, take);

  beforeEach(() => {
    buffer = new JitterBuffer();
  });

  it('puts packets into order', () => {
    for (const sequence of [10, 12, 11, 13]) insert(sequence);
    expect(drain()).toEqual([10, 11, 12, 13]);
    expect(buffer.counters.lost).toBe(0);
  });

  it('takes a packet before the first until one was played', () => {
    insert(11);
    insert(10);
    expect(take()).toBe(10);
    expect(insert(9)).toBe('late');
    expect(buffer.counters.late).toBe(1);
  });

  it('keeps order over the wrap of sequence numbers', () => {
    for (const sequence of [65535, 1, 65534, 0]) insert(sequence);
    expect(drain()).toEqual([65534 & 0xff, 65535 & 0xff, 0, 1]);
  });

  it('drops duplicates, also of played packets', () => {
    insert(1);
    expect(insert(1)).toBe('dropped');
    take();
    insert(2);
    expect(insert(1)).toBe('dropped');
    expect(buffer.counters).toMatchObject({ duplicate: 2, late: 0 });
  });

  it('counts a gap as lost when it is played over', () => {
    insert(1);
    insert(4);
    expect(drain()).toEqual([1, 4]);
    expect(buffer.counters.lost).toBe(2);
    expect(insert(3)).toBe('late');
  });

  it('copies what it keeps', () => {
    const packet = rtpPacket({ sequence: 1, timestamp: 0, payload: Uint8Array.of(7) });
    buffer.insert(packet, 12, 13);
    packet.fill(0);
    expect(take()).toBe(7);
  });

  it('keeps each payload apart when memory is used again', () => {
    for (let turn = 0; turn < 3; turn += 1) {
      for (let n = 0; n < 5; n += 1) insert(turn * 5 + n);
      expect(drain()).toEqual([0, 1, 2, 3, 4].map((n) => turn * 5 + n));
    }
  });

  it('starts over with a new SSRC', () => {
    insert(500);
    expect(insert(3, 2)).toBe('restarted');
    expect(drain()).toEqual([3]);
    expect(buffer.counters.restarts).toBe(1);
  });

  it('ignores one stray packet and follows two in a row', () => {
    insert(10);
    expect(insert(5000)).toBe('dropped');
    expect(insert(11)).toBe('stored');
    expect(insert(6000)).toBe('dropped');
    expect(insert(6001)).toBe('restarted');
    expect(drain()).toEqual([6001 & 0xff]);
  });

  it('refuses a payload that is too long', () => {
    expect(buffer.insert(Buffer.alloc(3000), 12, 3000)).toBe('dropped');
    expect(buffer.size).toBe(0);
  });

  it('holds a bounded number of packets, the newest', () => {
    for (let sequence = 0; sequence < 200; sequence += 1) insert(sequence);
    expect(buffer.size).toBe(128);
    expect(take()).toBe(72);
    expect(buffer.counters.overflow).toBe(72);
  });

  it('plays in order, never more than it stored, whatever comes', () => {
    const step = fc.oneof(
      fc.record({ insert: fc.integer({ min: 65480, max: 65680 }), ssrc: fc.constantFrom(1, 1, 1, 2) }),
      fc.constant('take' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const subject = new JitterBuffer();
        let stored = 0;
        let last = -Infinity;
        for (const action of steps) {
          if (action === 'take') {
            const packet = subject.peek();
            expect(packet === undefined).toBe(subject.size === 0);
            if (!packet) continue;
            expect(packet.timestamp).toBeGreaterThan(last);
            last = packet.timestamp;
            subject.shift();
            stored -= 1;
          } else {
            const { insert: sequence, ssrc } = action;
            const result = subject.insert(rtpPacket({ sequence, timestamp: sequence, ssrc }), 12, 172);
            if (result === 'restarted') {
              stored = 0;
              last = -Infinity;
            }
            if (result === 'stored' || result === 'restarted') stored += 1;
          }
          expect(subject.size).toBeLessThanOrEqual(Math.min(stored, 128));
        }
      }),
      { numRuns: 500 },
    );
  });
});
