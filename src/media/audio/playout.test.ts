import { beforeEach, describe, expect, it } from 'vitest';
import { findAudioCodec } from '../codecs/index.js';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { Playout } from './playout.js';
import { levelDb } from './testing/signals.js';

const pcmu = findAudioCodec('PCMU', 8000)!;
const SAMPLES = 160;

/** A publisher of a 400 Hz tone and a reader, both moved by the test. */
class Bench {
  /** Packets come just before they are read. */
  #now = 0;
  readonly playout = new Playout(pcmu, 8000, () => this.#now);
  readonly heard: number[] = [];
  readonly #encoder = pcmu.createEncoder(8000);
  readonly #out = new Int16Array(SAMPLES);

  packet(n: number, sequence = n, ssrc = 1): void {
    const payload = Buffer.alloc(SAMPLES);
    this.#encoder.encode(sine(400, 8000, SAMPLES, n * SAMPLES), SAMPLES, payload, 0);
    const packet = rtpPacket({ sequence, timestamp: n * SAMPLES, payload, ssrc });
    this.playout.insert(packet, 12, 12 + SAMPLES);
  }

  read(): boolean {
    const audible = this.playout.read(this.#out, SAMPLES);
    this.#now += 20;
    this.heard.push(...this.#out);
    return audible;
  }

  /** `count` frames of a clean network: one packet, one read. */
  run(from: number, count: number): void {
    for (let n = from; n < from + count; n += 1) {
      this.packet(n);
      this.read();
    }
  }

  level(frames: number): number {
    return toneLevel(Int16Array.from(this.heard.slice(-frames * SAMPLES)), 8000, 400);
  }
}

const FULL = 8000 / 32768;

describe('playout', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench();
  });

  it('is silent before anything comes', () => {
    expect(bench.read()).toBe(false);
    expect(Math.max(...bench.heard)).toBe(0);
  });

  it('plays a clean stream unharmed, 20 ms behind', () => {
    bench.run(0, 100);
    expect(bench.level(98)).toBeCloseTo(FULL, 2);
    expect(bench.playout.delayMs).toBe(20);
    expect(bench.playout.counters).toMatchObject({ lost: 0, late: 0, overflow: 0 });
  });

  it('bridges a lost packet without losing its place', () => {
    bench.run(0, 20);
    bench.read();
    bench.run(21, 20);
    expect(bench.level(30)).toBeGreaterThan(0.8 * FULL);
    expect(bench.playout.counters.lost).toBe(1);
    expect(bench.playout.delayMs).toBe(20);
  });

  it('plays packets that come late, and reduces the delay afterwards', () => {
    bench.run(0, 20);
    for (let i = 0; i < 4; i += 1) bench.read();
    for (let n = 20; n < 24; n += 1) bench.packet(n);
    bench.run(24, 20);
    expect(bench.playout.delayMs).toBeGreaterThan(50);
    expect(bench.playout.counters.late).toBe(0);
    bench.run(44, 200);
    expect(bench.playout.delayMs).toBeLessThan(32);
    expect(bench.level(50)).toBeGreaterThan(0.9 * FULL);
  });

  it('keeps the delay that steady jitter needs', () => {
    // Every fifth packet comes 60 ms late.
    for (let n = 0; n < 400; n += 1) {
      if (n % 5 !== 0) bench.packet(n);
      if (n >= 3 && (n - 3) % 5 === 0) bench.packet(n - 3);
      bench.read();
    }
    const lateAtFirst = bench.playout.counters.late + bench.playout.counters.lost;
    for (let n = 400; n < 600; n += 1) {
      if (n % 5 !== 0) bench.packet(n);
      if ((n - 3) % 5 === 0) bench.packet(n - 3);
      bench.read();
    }
    const { late, lost } = bench.playout.counters;
    expect(late + lost).toBe(lateAtFirst);
    expect(bench.level(100)).toBeGreaterThan(0.9 * FULL);
  });

  it('plays silence in a pause without packets, and continues by the timestamps', () => {
    bench.run(0, 20);
    for (let i = 0; i < 50; i += 1) bench.read();
    expect(bench.read()).toBe(false);
    bench.heard.length = 0;
    for (let n = 71; n < 91; n += 1) {
      bench.packet(n, n - 51);
      bench.read();
    }
    expect(bench.level(15)).toBeCloseTo(FULL, 1);
    expect(bench.playout.delayMs).toBeLessThanOrEqual(40);
    expect(bench.playout.counters.lost).toBe(0);
  });

  it.each([
    ['fast', 1.002],
    ['slow', 0.998],
  ])('follows a publisher whose clock is %s', (_which, speed) => {
    let sent = 0;
    for (let n = 0; n < 3000; n += 1) {
      while (sent < n * speed + 1) {
        bench.packet(sent);
        sent += 1;
      }
      bench.read();
    }
    expect(bench.playout.delayMs).toBeGreaterThanOrEqual(-20);
    expect(bench.playout.delayMs).toBeLessThan(60);
    expect(bench.playout.counters).toMatchObject({ overflow: 0, late: 0 });
    expect(bench.level(200)).toBeGreaterThan(0.8 * FULL);
  });

  it('goes on at once with another SSRC', () => {
    bench.run(0, 20);
    for (let n = 20; n < 40; n += 1) {
      bench.packet(n + 100_000, n + 7000, 2);
      bench.read();
    }
    expect(bench.level(15)).toBeCloseTo(FULL, 1);
  });

  it('follows timestamps that jump', () => {
    bench.run(0, 20);
    for (let n = 20; n < 40; n += 1) {
      bench.packet(n + 500_000, n);
      bench.read();
    }
    expect(bench.level(15)).toBeCloseTo(FULL, 1);
    for (let n = 40; n < 60; n += 1) {
      bench.packet(n, n);
      bench.read();
    }
    expect(bench.level(15)).toBeCloseTo(FULL, 1);
  });

  // At each moment of a part of the window of arrivals.
  it.each([0, 1, 2, 3, 4])('takes a pause without a gap in the timestamps for no jitter: %i', (more) => {
    // Packets come 10 ms before they are read: enough, but not with the jitter that a second's delay would be.
    let now = 0;
    const playout = new Playout(pcmu, 8000, () => now);
    const [out, silence] = [new Int16Array(SAMPLES), Buffer.alloc(SAMPLES, 0xff)];
    let sent = 0;
    const talk = (frames: number): void => {
      for (const until = now + 20 * frames; now < until;) {
        const packet = rtpPacket({ sequence: sent, timestamp: sent * SAMPLES, payload: silence });
        playout.insert(packet, 12, packet.length);
        sent += 1;
        now += 10;
        playout.read(out, SAMPLES);
        now += 10;
      }
    };
    talk(150 + more);
    expect(playout.delayMs).toBe(0);
    now += 10;
    for (const until = now + 1000; now < until; now += 20) playout.read(out, SAMPLES);
    now -= 10;
    talk(70);
    expect(playout.delayMs).toBe(0);
  });

  it('drops audio that comes all at once after a stall', () => {
    bench.run(0, 20);
    for (let n = 20; n < 120; n += 1) bench.packet(n);
    bench.run(120, 5);
    // The newest second is kept, so that what is left has one gap.
    expect(bench.playout.delayMs).toBeLessThanOrEqual(1020);
    expect(bench.playout.counters.overflow).toBeGreaterThan(45);
    expect(bench.level(4)).toBeGreaterThan(0.9 * FULL);
    bench.run(125, 150);
    expect(bench.playout.delayMs).toBeLessThanOrEqual(60);
  });

  it('never buffers more than a second and a quarter, however fast packets come', () => {
    for (let n = 0; n < 3000; n += 1) {
      bench.packet(n);
      if (n % 3 === 0) bench.read();
      expect(bench.playout.delayMs).toBeLessThanOrEqual(1330);
    }
    expect(bench.playout.counters.overflow).toBeGreaterThan(500);
    expect(bench.playout.counters.lost).toBe(0);
  });

  it('plays packets of any length', () => {
    for (let n = 0; n < 60; n += 1) {
      if (n % 3 === 0) {
        const payload = Buffer.alloc(480);
        pcmu.createEncoder(8000).encode(sine(400, 8000, 480, n * SAMPLES), 480, payload, 0);
        bench.playout.insert(rtpPacket({ sequence: n / 3, timestamp: n * SAMPLES, payload }), 12, 492);
      }
      bench.read();
    }
    expect(bench.level(40)).toBeGreaterThan(0.9 * FULL);
    expect(bench.playout.counters.lost).toBe(0);
  });

  it('plays Opus of any frame length, over pauses of discontinuous transmission', () => {
    const opus = findAudioCodec('opus', 48000)!;
    let now = 0;
    const playout = new Playout(opus, 8000, () => now);
    const encoder = opus.createEncoder(48000);
    const out = new Int16Array(SAMPLES);
    const heard: number[] = [];
    let sequence = 0;
    let nextAt = 0;
    let toned = 0;
    const frames = [10, 20, 40, 60];
    for (let ms = 0; ms < 4000; ms += 20) {
      now = ms;
      // From 1 s to 2.2 s only one small packet every 400 ms, as browsers do in silence.
      const isPause = ms >= 1000 && ms < 2200;
      while (nextAt <= ms) {
        const length = isPause ? 20 : frames[sequence % frames.length]!;
        const payload = Buffer.alloc(1500);
        const samples = length * 48;
        const bytes = encoder.encode(
          sine(400, 48000, samples, toned, isPause ? 0 : 8000),
          samples,
          payload,
          0,
        );
        toned += samples;
        const packet = rtpPacket({ sequence, timestamp: nextAt * 48, payload: payload.subarray(0, bytes) });
        playout.insert(packet, 12, packet.length);
        sequence += 1;
        nextAt += isPause ? 400 : length;
      }
      playout.read(out, SAMPLES);
      heard.push(...out);
    }
    expect(toneLevel(Int16Array.from(heard.slice(-8000)), 8000, 400)).toBeGreaterThan(0.8 * FULL);
    expect(playout.counters).toMatchObject({ lost: 0, late: 0, overflow: 0 });
    expect(playout.delayMs).toBeLessThan(120);
  });

  describe('of comfort noise', () => {
    const describeNoise = (n: number, dB = 40): void =>
      bench.playout.comfort(
        rtpPacket({ sequence: 0, timestamp: n * SAMPLES, payload: Buffer.of(dB) }),
        12,
        13,
      );
    const heardDb = (frames: number): number => levelDb(bench.heard.slice(-frames * SAMPLES));
    const pause = (frames: number): void => {
      for (let i = 0; i < frames; i += 1) expect(bench.read()).toBe(true);
    };

    it('plays it until the next audio, which is where it belongs, and makes nothing up', () => {
      bench.run(0, 50);
      const { concealedMs, delayMs } = bench.playout;
      describeNoise(50);
      expect(bench.playout.noiseDb).toBeUndefined();
      pause(100);
      expect(bench.playout.noiseDb).toBeCloseTo(-40, 5);
      expect(Math.abs(heardDb(95) + 40)).toBeLessThan(1);
      describeNoise(150, 50);
      pause(50);
      expect(Math.abs(heardDb(45) + 50)).toBeLessThan(1);
      for (let n = 200; n < 250; n += 1) {
        bench.packet(n, n - 150);
        bench.read();
      }
      expect(bench.playout.noiseDb).toBeUndefined();
      expect(bench.level(40)).toBeCloseTo(FULL, 2);
      expect(bench.playout.concealedMs).toBe(concealedMs);
      expect(Math.abs(bench.playout.delayMs - delayMs)).toBeLessThanOrEqual(2);
      expect(bench.playout.counters).toMatchObject({ lost: 0, late: 0, overflow: 0 });
    });

    it('conceals what is lost before it', () => {
      bench.run(0, 50);
      describeNoise(52);
      for (let i = 0; i < 10; i += 1) bench.read();
      expect(bench.playout.concealedMs).toBeGreaterThanOrEqual(40);
      expect(bench.playout.concealedMs).toBeLessThanOrEqual(60);
      expect(Math.abs(heardDb(6) + 40)).toBeLessThan(1);
    });

    it('begins with it when nothing came before', () => {
      describeNoise(7);
      pause(20);
      expect(Math.abs(heardDb(18) + 40)).toBeLessThan(1);
      bench.run(27, 50);
      expect(bench.level(40)).toBeCloseTo(FULL, 2);
      expect(bench.playout.concealedMs).toBe(0);
    });

    it('does not go back to what came late', () => {
      bench.run(0, 50);
      describeNoise(20, 30);
      for (let i = 0; i < 20; i += 1) bench.read();
      expect(bench.read()).toBe(false);
      expect(Math.max(...bench.heard.slice(-SAMPLES))).toBe(0);
    });
  });
});
