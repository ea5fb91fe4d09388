import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DtmfReceiver } from './dtmf-receiver.js';
import { rtpPacket } from './testing/packets.js';

const HEADER = 12;

/** A telephone-event packet with any timestamp, and a payload of any length that is often an event. */
const packet = fc
  .tuple(
    fc.oneof(fc.nat({ max: 2_000 }), fc.nat({ max: 2 ** 32 - 1 })),
    fc.oneof(
      fc.tuple(fc.nat({ max: 16 }), fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.nat({ max: 255 })),
      fc.uint8Array({ maxLength: 8 }),
    ),
  )
  .map(([timestamp, payload]) => {
    const bytes = Buffer.concat([Buffer.alloc(HEADER), Buffer.from(payload)]);
    bytes.writeUInt32BE(timestamp, 4);
    return bytes;
  });

it('reports nothing but digits with durations, at most one for each packet, whatever comes', () => {
  let digits = 0;
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 40 }), (packets) => {
      let reported = 0;
      const receiver = new DtmfReceiver((digit, durationMs) => {
        reported += 1;
        expect(digit).toMatch(/^[0-9*#A-D]$/);
        expect(Number.isFinite(durationMs) && durationMs >= 0).toBe(true);
      });
      packets.forEach((bytes, index) => receiver.onPacket(bytes, HEADER, bytes.length, 8_000, index * 20));
      receiver.poll(packets.length * 20 + 1_000);
      expect(reported).toBeLessThanOrEqual(packets.length);
      digits += reported;
    }),
  );
  expect(digits).toBeGreaterThan(0);
});

/** One packet: when it comes, its numbers, and its event. */
interface Sent {
  readonly at: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc?: number;
  readonly marker?: boolean;
  readonly event: number;
  readonly duration: number;
  readonly end: boolean;
}

interface Press {
  readonly digit: string;
  readonly at: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc?: number;
}

/** A press of 100 ms: five packets 20 ms apart, the last one three times. */
function press({ digit, at, sequence, timestamp, ssrc = 1 }: Press): Sent[] {
  return [160, 320, 480, 640, 800, 800, 800].map((duration, i) => ({
    at: at + 20 * Math.min(i, 4),
    sequence: sequence + i,
    timestamp,
    ssrc,
    marker: i === 0,
    event: Number(digit),
    duration,
    end: i >= 4,
  }));
}

/** The digits reported for these packets, with a poll every 20 ms. */
function read(sent: readonly Sent[]): string {
  let digits = '';
  const receiver = new DtmfReceiver((digit) => (digits += digit));
  let polled = 0;
  for (const { at, event, duration, end, ...header } of sent) {
    for (; polled <= at; polled += 20) receiver.poll(polled);
    const payload = Uint8Array.of(event, (end ? 0x80 : 0) | 10, duration >> 8, duration & 0xff);
    receiver.onPacket(rtpPacket({ ...header, payloadType: 101, payload }), HEADER, HEADER + 4, 8000, at);
  }
  receiver.poll(polled + 1000);
  return digits;
}

describe('key presses of senders that deviate from RFC 4733', () => {
  const T = 0x60000000;

  it.each([
    ['on a new SSRC', 2, T - 0x30000000],
    ['an hour before', 1, T - 28_800_000],
    ['a moment before', 1, T - 4000],
  ])('are reported when timestamps start lower: %s', (_how, ssrc, timestamp) => {
    const sent = [
      ...press({ digit: '1', at: 0, sequence: 100, timestamp: T }),
      ...press({ digit: '2', at: 400, sequence: 150, timestamp, ssrc }),
      ...press({ digit: '2', at: 800, sequence: 200, timestamp: timestamp + 3200, ssrc }),
      ...press({ digit: '3', at: 1200, sequence: 250, timestamp: timestamp + 6400, ssrc }),
    ];
    expect(read(sent)).toBe('1223');
  });

  it.each([
    ['the last two ends (rtpengine #1812)', (i: number) => Math.max(0, i - 4)],
    ['every packet (peers #7, pjproject #363)', (i: number) => i],
  ])('are one when the timestamp moves with %s', (_which, steps) => {
    for (const apart of [0, 20, 40]) {
      const sent = press({ digit: '7', at: 0, sequence: 100, timestamp: T }).map((packet, i) => ({
        ...packet,
        at: packet.at + apart * Math.max(0, i - 4),
        timestamp: T + 160 * steps(i),
        marker: false,
      }));
      expect(read(sent)).toBe('7');
      const again = sent.map((packet) => ({
        ...packet,
        at: packet.at + 400,
        sequence: packet.sequence + 20,
        timestamp: packet.timestamp + 3200,
      }));
      expect(read([...sent, ...again])).toBe('77');
    }
  });

  it.each([
    ['with the marker', true],
    ['without the marker', false],
  ])('are as many as they are when all have one timestamp (Doubango #374), %s', (_how, marker) => {
    const sent = Array.from('1231111').flatMap((digit, n) =>
      press({ digit, at: 400 * n, sequence: 100 + 20 * n, timestamp: 0x3200 }),
    );
    expect(read(sent.map((packet) => ({ ...packet, marker: marker && packet.marker === true })))).toBe(
      '1231111',
    );
  });

  it('are two with one timestamp when the ends of the first are lost (hass-sip PR 24)', () => {
    const [first, second] = [0, 160].map((at) => press({ digit: '5', at, sequence: 100 + at, timestamp: T }));
    expect(read([...first!.slice(0, 4), ...second!])).toBe('55');
  });

  it('are one when the ends go on', () => {
    const sent = press({ digit: '5', at: 0, sequence: 100, timestamp: T });
    const end = sent.at(-1)!;
    const more = [1, 2, 3, 4].map((n) => ({ ...end, at: end.at + 50 * n, sequence: end.sequence + n }));
    expect(read([...sent, ...more])).toBe('5');
  });

  it('are one when packets are swapped or doubled', () => {
    const sent = press({ digit: '5', at: 0, sequence: 100, timestamp: T });
    expect(read([0, 2, 1, 4, 3, 3, 6, 5, 0].map((i) => sent[i]!))).toBe('5');
  });
});
