import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MixGroups } from '../audio/index.js';
import { writeRtcpReport } from '../rtp/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { createMasterKey, SRTP_SUITES, SrtpReceiver, SrtpSender, type SrtpSuite } from '../srtp/index.js';
import { type CryptoState, PhoneCrypto } from './phone-crypto.js';
import { RtpSender, skippedBy, type StreamState } from './rtp-sender.js';
import { agreeOn, type AudioSession, chooseAudio } from './sdp/audio-session.js';
import { readRemoteDescription } from './sdp/remote-description.js';
import { sdp } from './testing/negotiate.js';

const FRAME_MS = 20;
const SECOND = 50;
const REMOTE_KEYS = new Map(SRTP_SUITES.map((suite) => [suite, createMasterKey(suite)]));
const LONG_CALL_MS = 30 * 60_000;

function sessionOf(suite: SrtpSuite | undefined): AudioSession {
  const offer = readRemoteDescription(sdp('m=audio 4000 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000'));
  const plain = agreeOn(chooseAudio(offer).section);
  if (!suite) return plain;
  return { ...plain, crypto: { tag: 1, suite, remoteKey: REMOTE_KEYS.get(suite)! } };
}

interface SentState {
  readonly stream: StreamState;
  readonly crypto: CryptoState;
}

/** The sending half of a phone's endpoint, over lives in several processes; its clock is the mix clock's. */
class Leg {
  readonly sent: Buffer[] = [];
  /** The last state that was given away, and when. */
  state!: SentState;
  stateFrame = 0;
  #frame: number;
  #sender!: RtpSender;
  #crypto!: PhoneCrypto;
  readonly #session: AudioSession;

  constructor(suite: SrtpSuite | undefined, frame = 0) {
    this.#session = sessionOf(suite);
    this.#frame = frame;
    this.#live();
    this.#crypto.apply(this.#session.crypto);
    this.#state();
  }

  get localKey() {
    return this.#crypto.keyFor(this.#session.crypto!.suite);
  }

  /** Sets the numbers that the next life starts from. */
  startAt(sequence: number, rollover: number): void {
    const { stream, crypto } = this.state;
    const local = crypto.local.map(
      ([suite, key]) => [suite, key, { rollover, lastSequence: -1, rtcpIndex: 0 }] as const,
    );
    this.state = { stream: { ...stream, sequence }, crypto: { ...crypto, sequence, local } };
  }

  /** Makes mix frames; while paused nothing is sent. */
  run(frames: number, isPaused = false): void {
    for (let i = 0; i < frames; i += 1, this.#frame += 1) {
      if (isPaused) this.#sender.pause();
      else this.#sender.onFrame(this.#frame);
      const now = this.#frame * FRAME_MS;
      if (this.#frame % SECOND === 0 && this.#sender.hasDrifted(now)) this.#state();
    }
  }

  report(): Buffer {
    return this.#crypto.sealRtcp(
      writeRtcpReport({ ssrc: this.#sender.ssrc, blocks: [], cname: 'c', bye: false }),
    );
  }

  /**
   * The process dies; another one goes on some time later with the last state.
   * @param hidden so many frames of its age are not known, since clocks differ and states are kept late
   */
  die(deadFrames: number, hidden = 0): void {
    this.#frame += deadFrames;
    const age = Math.max(0, this.#frame - this.stateFrame - hidden);
    this.#live({ state: this.state, ageMs: age * FRAME_MS });
    this.#crypto.resume(this.#session.crypto);
    this.#state();
  }

  #live(before?: { state: SentState; ageMs: number }): void {
    const { stream, crypto } = before?.state ?? {};
    const ageMs = before?.ageMs ?? 0;
    this.#crypto = new PhoneCrypto(
      this.#frame * FRAME_MS,
      stream && crypto && { state: crypto, ageMs, skipped: skippedBy(stream, ageMs) },
    );
    this.#sender = new RtpSender(
      new MixGroups(),
      this.#crypto,
      (packet) => this.sent.push(Buffer.from(packet)),
      stream && { state: stream, ageMs, frame: this.#frame },
    );
    this.#sender.configure(this.#session);
  }

  #state(): void {
    const now = this.#frame * FRAME_MS;
    const stream = this.#sender.state(this.#frame, now);
    this.state = { stream, crypto: this.#crypto.state(stream.sequence, now) };
    this.stateFrame = this.#frame;
  }
}

const sequenceOf = (packet: Buffer): number => packet.readUInt16BE(2);
const timestampOf = (packet: Buffer): number => packet.readUInt32BE(4);
const isMarked = (packet: Buffer): boolean => (packet[1]! & 0x80) !== 0;

describe.each([...SRTP_SUITES.map(({ name }) => name), 'plain RTP'])('a stream with %s', (name) => {
  const suite = SRTP_SUITES.find((known) => known.name === name);

  it.each([
    ['far from the end of the numbers', 1000, 0],
    ['when the jump passes 65535', 64_000, 0],
    ['just before 65535', 65_535, 2],
    ['after rollovers', 30_000, 3],
  ])('goes on after the death of its process: %s', (_where, sequence, rollover) => {
    const leg = new Leg(suite);
    leg.startAt(sequence, rollover);
    leg.die(0);
    leg.run(1);
    // The phone has received up to here.
    const receiver =
      suite && new SrtpReceiver(suite, leg.localKey, receivedAt(leg.sent[0]!, leg.state.crypto));
    leg.run(7 * SECOND);
    const before = leg.sent.splice(0);
    leg.die(SECOND);
    leg.run(5);
    const [last, first] = [before.at(-1)!, leg.sent[0]!];
    const ahead = (sequenceOf(first) - sequenceOf(last)) & 0xffff;
    expect(ahead).toBeGreaterThan(SECOND);
    // Farther ahead a receiver takes it for another stream (RFC 3550 appendix A.1).
    expect(ahead).toBeLessThan(3000);
    expect(first.subarray(8, 12)).toEqual(last.subarray(8, 12));
    expect(leg.sent.map(isMarked)).toEqual([true, false, false, false, false]);
    const passed = (timestampOf(first) - timestampOf(last)) >>> 0;
    expect(passed).toBeGreaterThanOrEqual(160 * SECOND);
    expect(passed).toBeLessThanOrEqual(160 * (SECOND + 3));
    if (!receiver) return;
    for (const packet of [...before, ...leg.sent]) expect(receiver.unprotectRtp(packet)).toBe(172);
    expect(receiver.counters).toEqual({ unauthentic: 0, replayed: 0 });
  });
});

describe('a phone to which nothing was sent for long', () => {
  it('takes what comes from another process for the same stream', () => {
    const leg = new Leg(undefined);
    leg.run(10);
    leg.run(5 * 60 * SECOND, true);
    leg.run(1);
    const last = sequenceOf(leg.sent.at(-1)!);
    leg.die(SECOND);
    leg.run(1);
    const ahead = (sequenceOf(leg.sent.at(-1)!) - last) & 0xffff;
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThan(3000);
  });
});

/** A receiver that was there from the start would have this highest index. */
function receivedAt(packet: Buffer, { local }: CryptoState) {
  const { rollover } = local[0]![2]!;
  return {
    rtp: [[packet.readUInt32BE(8), rollover * 0x10000 + sequenceOf(packet) - 1]] as const,
    rtcp: [],
    since: 0,
    ever: 0,
  };
}

describe('key streams', () => {
  it.each(['AES_CM_128_HMAC_SHA1_80', 'AEAD_AES_256_GCM'])(
    'of %s are never used twice, however often processes die',
    (name) => {
      const suite = SRTP_SUITES.find((known) => known.name === name)!;
      const life = fc.record({
        frames: fc.integer({ min: 0, max: 700 }),
        paused: fc.integer({ min: 0, max: 1500 }),
        reports: fc.integer({ min: 0, max: 5 }),
        dead: fc.integer({ min: 0, max: 5 * SECOND }),
        hidden: fc.integer({ min: 0, max: 10 * SECOND }),
      });
      fc.assert(
        fc.property(
          fc.integer({ min: 62_000, max: 65_535 }),
          fc.array(life, { maxLength: 4 }),
          (start, lives) => {
            const leg = new Leg(suite);
            const receiver = new SrtpReceiver(suite, leg.localKey);
            leg.startAt(start - 2000, 0);
            leg.die(0);
            const indices: number[] = [];
            for (const { frames, paused, reports, dead, hidden } of lives) {
              leg.run(frames);
              leg.run(paused, true);
              leg.run(3);
              for (const packet of leg.sent.splice(0)) {
                // It opens only with the index that it was sealed with.
                expect(receiver.unprotectRtp(packet)).toBe(172);
                indices.push(receiver.highestRtp[0]![1]);
              }
              for (let i = 0; i < reports; i += 1)
                expect(receiver.unprotectRtcp(Buffer.from(leg.report()))).toBeGreaterThan(0);
              leg.die(dead, hidden);
            }
            expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b));
          },
        ),
        { numRuns: 12 },
      );
    },
  );

  it.each(SRTP_SUITES)('of $name are not used again when a call changes suites and comes back', (suite) => {
    const other = SRTP_SUITES.find((known) => known !== suite)!;
    const crypto = new PhoneCrypto(0);
    const agreed = (of: SrtpSuite) => ({ tag: 1, suite: of, remoteKey: REMOTE_KEYS.get(of)! });
    const receiver = new SrtpReceiver(suite, crypto.keyFor(suite));
    const exchange = (sequence: number): void => {
      const packet = Buffer.concat([rtpPacket({ sequence, timestamp: 0 }), Buffer.alloc(20)]);
      expect(receiver.unprotectRtp(packet.subarray(0, crypto.sealRtp(packet, 172)))).toBe(172);
      const report = writeRtcpReport({ ssrc: 1, blocks: [], cname: 'c', bye: false });
      expect(receiver.unprotectRtcp(Buffer.from(crypto.sealRtcp(report)))).toBe(report.length);
    };
    crypto.apply(agreed(suite));
    for (const sequence of [65_535, 0, 1]) exchange(sequence);
    crypto.apply(agreed(other));
    crypto.apply(agreed(suite));
    exchange(2);
    crypto.apply(undefined);
    crypto.apply(agreed(suite));
    exchange(3);
  });
});

describe.each(SRTP_SUITES)('a phone that sends $name', (suite) => {
  const key = REMOTE_KEYS.get(suite)!;
  const agreed = { tag: 1, suite, remoteKey: key };
  const sealed = (sender: SrtpSender, sequence: number, ssrc = 7): Buffer => {
    const packet = Buffer.concat([rtpPacket({ sequence, timestamp: 0, ssrc }), Buffer.alloc(20)]);
    return packet.subarray(0, sender.protectRtp(packet, 172));
  };
  const resumed = (state: CryptoState, ageMs: number): PhoneCrypto => {
    const crypto = new PhoneCrypto(0, { state, ageMs, skipped: 2000 });
    crypto.resume(agreed);
    return crypto;
  };
  const atAnswer = (): CryptoState => {
    const crypto = new PhoneCrypto(0);
    crypto.apply(agreed);
    return crypto.state(1, 0);
  };

  it.each([
    ['half an hour', LONG_CALL_MS, 1],
    ['a day', 24 * 60 * 60_000, 65],
    ['a day, of which it was mostly silent', 24 * 60 * 60_000, 3],
  ])('is heard again after a call of %s whose only state is of its start', (_time, ageMs, rollover) => {
    const crypto = resumed(atAnswer(), ageMs);
    const sender = new SrtpSender(suite, key, { rollover, lastSequence: -1, rtcpIndex: 9 });
    const packets = [500, 501, 502, 503].map((sequence) => sealed(sender, sequence));
    for (const i of [0, 1, 3, 2]) expect(crypto.openRtp(packets[i]!)?.length).toBe(172);
    expect(crypto.counters).toEqual({ unauthentic: 0, replayed: 0 });
    // What it is known by now is stated again, and so on.
    const again = resumed(crypto.state(1, 0), 1000);
    expect(again.openRtp(sealed(sender, 504))?.length).toBe(172);
  });

  it('cannot have rolled over more often than its call allows', () => {
    const crypto = resumed(atAnswer(), 1000);
    const sender = new SrtpSender(suite, key, { rollover: 5, lastSequence: -1, rtcpIndex: 0 });
    expect(crypto.openRtp(sealed(sender, 500))).toBeUndefined();
    expect(crypto.counters).toEqual({ unauthentic: 1, replayed: 0 });
  });

  it('cannot be imitated by packets from before its process died', () => {
    const sender = new SrtpSender(suite, key);
    const report = Buffer.from(
      sender.protectRtcp(writeRtcpReport({ ssrc: 7, blocks: [], cname: 'c', bye: false })),
    );
    const packets = [65_534, 65_535, 0, 1].map((sequence) => sealed(sender, sequence));
    const crypto = new PhoneCrypto(0);
    crypto.apply(agreed);
    expect(crypto.openRtcp(Buffer.from(report))).toBeDefined();
    for (const packet of packets) expect(crypto.openRtp(Buffer.from(packet))).toBeDefined();
    const after = resumed(crypto.state(1, 0), 1000);
    expect(after.openRtcp(Buffer.from(report))).toBeUndefined();
    for (const packet of packets) expect(after.openRtp(Buffer.from(packet))).toBeUndefined();
    expect(after.openRtp(sealed(sender, 2))?.length).toBe(172);
    for (const packet of packets) expect(after.openRtp(Buffer.from(packet))).toBeUndefined();
  });

  it('has its state stated again long before its numbers could be mistaken', () => {
    const crypto = new PhoneCrypto(0);
    crypto.apply(agreed);
    const sender = new SrtpSender(suite, key);
    crypto.openRtp(sealed(sender, 100));
    expect(crypto.hasReceivedMuch).toBe(false);
    crypto.openRtp(sealed(sender, 32_768));
    expect(crypto.hasReceivedMuch).toBe(false);
    crypto.openRtp(sealed(sender, 32_769));
    expect(crypto.hasReceivedMuch).toBe(true);
    crypto.state(1, 0);
    expect(crypto.hasReceivedMuch).toBe(false);
  });
});
