import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { rtpPayloadOffset } from '../../rtp/index.js';
import { PublishedTrack } from '../../track.js';
import { FanoutTable } from '../forward/fanout.js';
import { rtpPacket } from '../testing/packets.js';
import { DownlinkSet } from './downlink-set.js';

const STEP_MS = 20;
const PACKET_BYTES = 1_000;
/** Beside the video. */
const AUDIO_RATE = 45_000;
/** The most that the publisher's camera and network allow. */
const MOST = 1_500_000;
const QUEUE_MS = 300;

/** A router before a narrow line: it drops what would wait for too long. */
class Line {
  bitsPerSecond = Infinity;
  #freeAt = 0;

  /** @returns how long it takes, in ms; undefined: dropped */
  carry(bytes: number, now: number): number | undefined {
    const at = Math.max(now, this.#freeAt) + (bytes * 8_000) / this.bitsPerSecond;
    if (at - now > QUEUE_MS) return undefined;
    this.#freeAt = at;
    return at - now;
  }
}

/** A browser's estimate of what it can receive: less when packets take ever longer, more in time (AIMD). */
class Estimate {
  bitsPerSecond = MOST;
  #arrived: { at: number; bytes: number }[] = [];
  #delays: number[] = [];
  #lastDelay = 0;
  #heldUntil = 0;

  arrives(bytes: number, delayMs: number, now: number): void {
    this.#arrived.push({ at: now + delayMs, bytes });
    this.#delays.push(delayMs);
  }

  update(now: number): void {
    this.#arrived = this.#arrived.filter(({ at }) => at > now - 1_000);
    const rate = this.#arrived.reduce((sum, { at, bytes }) => sum + (at <= now ? bytes * 8 : 0), 0);
    const delay = this.#delays.reduce((sum, ms) => sum + ms, 0) / Math.max(1, this.#delays.length);
    const growth = delay - this.#lastDelay;
    this.#delays = [];
    this.#lastDelay = delay;
    if ((growth > 6 && delay > 30) || delay > 200) {
      this.bitsPerSecond = Math.min(this.bitsPerSecond, 0.85 * rate);
      this.#heldUntil = now + 400;
    } else if (now > this.#heldUntil && growth > -6) {
      const more = Math.min(this.bitsPerSecond * 1.016, 1.5 * rate + 10_000);
      this.bitsPerSecond = Math.max(this.bitsPerSecond, more);
    }
  }
}

/** A browser's requests for what it lost: every 100 ms, ten times. */
class Requests {
  readonly #pending = new Map<number, { due: number; tries: number }>();

  lost(sequence: number, now: number): void {
    if (!this.#pending.has(sequence)) this.#pending.set(sequence, { due: now + 20, tries: 0 });
  }

  got(sequence: number): void {
    this.#pending.delete(sequence);
  }

  make(now: number, ask: (sequence: number) => void): void {
    for (const [sequence, entry] of [...this.#pending]) {
      if (entry.due > now) continue;
      ask(sequence);
      entry.due = now + 100;
      entry.tries += 1;
      if (entry.tries === 10) this.#pending.delete(sequence);
    }
  }
}

/** A publisher, this gateway's way to one subscriber, and what is between. */
function setUp() {
  const line = new Line();
  const estimate = new Estimate();
  let asked = Infinity;
  let rate = MOST;
  let sequence = 0;
  let [lost, got] = [0, 0];
  const track = new PublishedTrack({
    kind: 'video',
    streamId: 'camera',
    codec: { name: 'VP8', clockRate: 90_000, channels: 1 },
    limitBitrate: (bitsPerSecond) => (asked = bitsPerSecond),
  });
  const requests = new Requests();
  const send = (packet: Buffer): boolean => {
    const now = performance.now();
    if (packet[1] === 200) return true;
    const delay = line.carry(packet.length, now);
    if (packet.readUInt32BE(8) === set.of(track)!.fanout.rtxSsrc) {
      // Of the original, whose number it begins with.
      if (delay !== undefined) requests.got(packet.readUInt16BE(12));
    } else if (delay === undefined) {
      lost += 1;
      requests.lost(packet.readUInt16BE(2), now);
    } else {
      got += 1;
      estimate.arrives(packet.length, delay, now);
    }
    return true;
  };
  const set: DownlinkSet = new DownlinkSet(new FanoutTable(), { isConnected: true, send });
  set.retain([track]);
  set.of(track)!.start({ retransmissions: true, telephoneEvents: false });
  let due = 0;
  const step = (i: number): void => {
    vi.advanceTimersByTime(STEP_MS);
    const now = performance.now();
    const target = Math.min(MOST, asked);
    rate += (target - rate) * (target < rate ? 0.1 : 0.02);
    line.carry((AUDIO_RATE * STEP_MS) / 8_000, now);
    for (due += (rate * STEP_MS) / 8_000; due >= PACKET_BYTES; due -= PACKET_BYTES) {
      sequence = (sequence + 1) & 0xffff;
      const payload = Buffer.alloc(PACKET_BYTES);
      // VP8: a key frame, so that all pass (RFC 7741 section 4.3).
      payload[0] = 0x10;
      const packet = rtpPacket({ sequence, timestamp: sequence, payloadType: 96, payload });
      track.push(packet, rtpPayloadOffset(packet), packet.length, false);
    }
    requests.make(now, (number) => set.of(track)!.retransmit(number, now));
    if (i % 10 === 0) estimate.update(now);
    if (i % 50 === 0) {
      set.bandwidth.onEstimate(estimate.bitsPerSecond);
      if (lost + got > 0) set.bandwidth.onLoss(lost / (lost + got));
      [lost, got] = [0, 0];
    }
  };
  /** @returns what the publisher was asked for at the end of each second */
  const seconds = (count: number): number[] =>
    Array.from({ length: count }, () => {
      for (let i = 0; i < 1_000 / STEP_MS; i += 1) step(i);
      return asked;
    });
  return { line, set, seconds };
}

describe('a path that carries little', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each([250_000, 400_000, 800_000])(
    'of %i bit/s has its publisher asked for what it carries, not for the least',
    (bitsPerSecond) => {
      const { line, set, seconds } = setUp();
      expect(seconds(5)).toEqual(Array.from({ length: 5 }, () => Infinity));
      line.bitsPerSecond = bitsPerSecond;
      // It takes a moment to be noticed, and queues to drain.
      seconds(8);
      const carried = bitsPerSecond - AUDIO_RATE;
      const asked = seconds(40);
      expect(set.bandwidth.thinned).toBe(false);
      const mean = asked.reduce((sum, rate) => sum + rate, 0) / asked.length;
      expect(Math.min(...asked)).toBeGreaterThan(0.6 * carried);
      expect(mean).toBeGreaterThan(0.75 * carried);
      expect(mean).toBeLessThan(1.25 * carried);
      set.close();
    },
  );

  it('is left again when it carries more', () => {
    const { line, set, seconds } = setUp();
    seconds(3);
    line.bitsPerSecond = 250_000;
    seconds(10);
    line.bitsPerSecond = Infinity;
    expect(seconds(40).at(-1)).toBeGreaterThan(MOST / 2);
    set.close();
  });
});
