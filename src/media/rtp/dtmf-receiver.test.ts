import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DtmfReceiver } from './dtmf-receiver.js';

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
