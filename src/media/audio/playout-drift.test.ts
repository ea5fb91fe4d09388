import { describe, expect, it } from 'vitest';
import { findAudioCodec } from '../codecs/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { Playout } from './playout.js';
import { seeded, sharpestBend, voice } from './testing/signals.js';

const pcmu = findAudioCodec('PCMU', 8000)!;
const SAMPLES = 160;
const READS = 180_000;
/** By then the reserve has been adapted. */
const SETTLED = 250;

/** Ten seconds of sound that goes on where it began, packet by packet, and what the codec makes of it. */
const encoder = pcmu.createEncoder(8000);
const decoder = pcmu.createDecoder(8000);
const signal = voice(8000, 10);
const own = new Int16Array(signal.length);
const payloads = Array.from({ length: signal.length / SAMPLES }, (_, i) => {
  const payload = Buffer.alloc(SAMPLES);
  encoder.encode(signal.subarray(i * SAMPLES), SAMPLES, payload, 0);
  decoder.decode(payload, 0, SAMPLES, own, i * SAMPLES);
  return payload;
});

/** Has a phone talk for an hour whose clock is wrong. */
function hour(ppm: number, jitterMs: number) {
  let now = 0;
  const playout = new Playout(pcmu, 8000, () => now);
  const random = seeded(1);
  const packet = rtpPacket({ sequence: 0, timestamp: 0 });
  // The last two samples of the read before stand in front, so that no bend is missed.
  const heard = new Int16Array(SAMPLES + 2);
  const out = heard.subarray(2);
  let [sent, comesAt] = [0, 0];
  let [least, most, bend] = [Infinity, -Infinity, 0];
  let atFirst = 0;
  for (let read = 0; read < READS; read += 1) {
    const at = 13 + read * 20;
    while (comesAt <= at) {
      now = comesAt;
      packet.writeUInt16BE(sent & 0xffff, 2);
      packet.writeUInt32BE((sent * SAMPLES) >>> 0, 4);
      packet.set(payloads[sent % payloads.length]!, 12);
      playout.insert(packet, 12, packet.length);
      sent += 1;
      comesAt = sent * 20 * (1 - ppm / 1e6) + random() * jitterMs;
    }
    now = at;
    heard[0] = out[SAMPLES - 2]!;
    heard[1] = out[SAMPLES - 1]!;
    playout.read(out, SAMPLES);
    if (read === SETTLED) atFirst = playout.concealedMs;
    if (read < SETTLED) continue;
    const delay = at + 20 - (sent * 20 * (1 - ppm / 1e6) - playout.delayMs);
    least = Math.min(least, delay);
    most = Math.max(most, delay);
    bend = Math.max(bend, sharpestBend(heard));
  }
  return { least, most, bend, madeUp: playout.concealedMs - atFirst, counters: playout.counters, sent };
}

describe('playout over an hour', () => {
  it.each([
    ['fast', 100, 0],
    ['slow', -100, 3],
  ])('neither builds delay nor clicks when the clock of a phone is 100 ppm %s', (_which, ppm, jitterMs) => {
    const { least, most, bend, madeUp, counters, sent } = hour(ppm, jitterMs);
    expect(Math.abs(sent - READS)).toBeGreaterThanOrEqual(17);
    // The phase between packets and reads alone goes through 20 ms.
    expect(least).toBeGreaterThanOrEqual(0);
    expect(most).toBeLessThanOrEqual(40);
    expect(madeUp).toBe(0);
    expect(counters).toMatchObject({ received: sent, late: 0, lost: 0, overflow: 0, restarts: 0 });
    expect(bend).toBeLessThanOrEqual(1.15 * sharpestBend(own));
  });

  it('would show a click', () => {
    // A packet left out is what a stream that is not adapted has every 200 s.
    const cut = Int16Array.from([...own.subarray(0, 1600), ...own.subarray(1760, 3200)]);
    expect(sharpestBend(cut)).toBeGreaterThan(2 * sharpestBend(own));
  });
});
