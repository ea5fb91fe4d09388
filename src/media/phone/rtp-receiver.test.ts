import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { rtpSequence, rtpSsrc, rtpTimestamp } from '../rtp/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { RtcpSession } from './rtcp-session.js';
import { RtpReceiver } from './rtp-receiver.js';
import { agreeOn, chooseAudio } from './sdp/audio-session.js';
import { readRemoteDescription } from './sdp/remote-description.js';

const offer = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 4000 RTP/AVP 0 101',
  'a=rtpmap:101 telephone-event/8000',
  '',
].join('\r\n');
const session = agreeOn(chooseAudio(readRemoteDescription(offer)).section);

interface Pushed {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly telephoneEvent: boolean;
  readonly bytes: number;
}

describe('what comes from a phone', () => {
  let receiver: RtpReceiver;
  let pushed: Pushed[];
  let now: number;
  let digits: string;
  let formats: string[];
  let noise: { level: number; timestamp: number }[];
  let audio: number;

  beforeEach(() => {
    pushed = [];
    now = 0;
    const track = new PublishedTrack({
      kind: 'audio',
      streamId: 's',
      codec: { name: 'PCMU', clockRate: 8000, channels: 1 },
    });
    track.attach({
      onPacket: (packet, start, end, telephoneEvent) =>
        pushed.push({
          ssrc: rtpSsrc(packet),
          sequence: rtpSequence(packet),
          timestamp: rtpTimestamp(packet),
          telephoneEvent,
          bytes: end - start,
        }),
    });
    noise = [];
    audio = 0;
    track.attach({
      onPacket: () => undefined,
      onComfortNoise: (packet, start) =>
        noise.push({ level: packet[start]!, timestamp: rtpTimestamp(packet) }),
    });
    digits = '';
    formats = [];
    receiver = new RtpReceiver({
      onDigit: (digit) => (digits += digit),
      onAudio: () => (audio += 1),
      onFormat: ({ codec }) => {
        formats.push(codec.name);
        return track;
      },
    });
    receiver.agree(session);
  });

  const receive = (fields: Parameters<typeof rtpPacket>[0]): boolean => {
    now += 20;
    return receiver.onPacket(rtpPacket(fields), now);
  };
  const steps = (): number[] =>
    pushed.slice(1).map(({ sequence }, i) => (sequence - pushed[i]!.sequence) & 0xffff);

  it('is one stream over a change of SSRC: same SSRC, next sequence number, elapsed time', () => {
    for (let n = 0; n < 5; n += 1) receive({ sequence: 65530 + n, timestamp: 160 * n, ssrc: 1 });
    for (let n = 0; n < 8; n += 1) receive({ sequence: 100 + n, timestamp: 9_000_000 + 160 * n, ssrc: 2 });
    expect(new Set(pushed.map(({ ssrc }) => ssrc)).size).toBe(1);
    // The receiver follows the new stream at its third packet.
    expect(pushed).toHaveLength(5 + 6);
    expect(steps().every((step) => step === 1)).toBe(true);
    expect(pushed[5]!.timestamp - pushed[4]!.timestamp).toBe(3 * 160);
  });

  it('keeps to one stream when two come at the same time', () => {
    for (let n = 0; n < 50; n += 1) {
      receive({ sequence: n, timestamp: 160 * n, ssrc: 1 });
      receive({ sequence: 5000 + n, timestamp: 160 * n, ssrc: 2 });
    }
    expect(pushed).toHaveLength(50);
    expect(steps().every((step) => step === 1)).toBe(true);
  });

  it('hands on comfort noise with its timestamp, without a gap in the audio of those who play none', () => {
    receive({ sequence: 1, timestamp: 0 });
    expect(receive({ sequence: 2, timestamp: 160, payloadType: 13, payload: Uint8Array.of(70) })).toBe(true);
    expect(receiver.isQuiet).toBe(true);
    receive({ sequence: 3, timestamp: 1600 });
    expect(receiver.isQuiet).toBe(false);
    expect(steps()).toEqual([1]);
    expect(noise).toEqual([{ level: 70, timestamp: pushed[0]!.timestamp + 160 }]);
    expect(audio).toBe(2);
    expect(receiver.packetsLost).toBe(0);
  });

  it('ends comfort noise when the phone holds, and has none from it then', () => {
    receive({ sequence: 1, timestamp: 0 });
    receive({ sequence: 2, timestamp: 160, payloadType: 13, payload: Uint8Array.of(50) });
    receiver.agree(session, true);
    receive({ sequence: 3, timestamp: 320, payloadType: 13, payload: Uint8Array.of(50) });
    expect(noise.map(({ level }) => level)).toEqual([50, 127]);
  });

  it('leaves out comfort noise beside a codec with another clock', () => {
    const opus = agreeOn(
      chooseAudio(
        readRemoteDescription(offer.replace('0 101', '96 13').replace('101 tel', '96 opus/48000/2\r\na=x:')),
      ).section,
    );
    receiver.agree(opus);
    receive({ sequence: 1, timestamp: 0, payloadType: 96 });
    expect(receive({ sequence: 2, timestamp: 160, payloadType: 13, payload: Uint8Array.of(50) })).toBe(true);
    expect(pushed).toHaveLength(1);
    expect(noise).toEqual([]);
  });

  it('leaves out packets without a payload without a gap, and counts them', () => {
    receive({ sequence: 1, timestamp: 0 });
    receive({ sequence: 2, timestamp: 0, payload: new Uint8Array() });
    receive({ sequence: 3, timestamp: 160 });
    expect(pushed.map(({ timestamp }) => timestamp)).toEqual([0, 160]);
    expect(steps()).toEqual([1]);
    expect(receiver).toMatchObject({ packets: 3, packetsLost: 0 });
  });

  it('leaves out muted audio without a gap, but not telephone events', () => {
    for (let n = 0; n < 3; n += 1) receive({ sequence: n, timestamp: 160 * n });
    receiver.agree(session, true);
    for (let n = 3; n < 60; n += 1) receive({ sequence: n, timestamp: 160 * n });
    // Music of another sender, with numbers of its own.
    for (let n = 0; n < 10; n += 1) receive({ sequence: 7 + n, timestamp: 160 * n, ssrc: 0x77 });
    const press = { timestamp: 1600, payloadType: 101, ssrc: 0x77 };
    receive({ ...press, sequence: 17, payload: Uint8Array.of(1, 0x8a, 3, 32) });
    receiver.agree(session);
    for (let n = 0; n < 3; n += 1) receive({ sequence: 18 + n, timestamp: 2400 + 160 * n, ssrc: 0x77 });
    expect(pushed.map(({ telephoneEvent }) => telephoneEvent)).toEqual([
      ...[false, false, false],
      true,
      ...[false, false, false],
    ]);
    expect(steps()).toEqual([1, 1, 1, 1, 1, 1]);
    expect(digits).toBe('1');
    const timestamps = pushed.filter(({ telephoneEvent }) => !telephoneEvent).map((p) => p.timestamp);
    expect(timestamps).toEqual([...timestamps].sort((a, b) => a - b));
  });

  it('marks telephone events', () => {
    receive({ sequence: 1, timestamp: 0, payloadType: 101, payload: Uint8Array.of(1, 0x8a, 3, 32) });
    expect(pushed).toMatchObject([{ telephoneEvent: true, bytes: 4 }]);
  });

  it.each([
    ['beside audio that goes on', true, 20],
    ['without audio', false, 20],
    ['that comes all at once', true, 0],
  ])('takes telephone events on an SSRC of their own, %s (rtpengine #1569)', (_how, audio, apart) => {
    let sequence = 0;
    const say = (): void => {
      if (audio) receive({ sequence: (sequence += 1), timestamp: 160 * sequence, ssrc: 1 });
    };
    for (let n = 0; n < 10; n += 1) say();
    [1, 2].forEach((digit, press) => {
      for (let i = 0; i < 10; i += 1) {
        const duration = 160 * Math.min(8, i + 1);
        const payload = Uint8Array.of(digit, i >= 7 ? 0x8a : 10, duration >> 8, duration & 0xff);
        const timestamp = 4_000_000_000 + 4000 * press;
        const fields = { sequence: 500 + 10 * press + i, timestamp, ssrc: 2, payloadType: 101, payload };
        expect(receive({ ...fields, marker: i === 0 })).toBe(true);
        for (let passed = 0; passed < apart; passed += 20) say();
      }
      for (let n = 0; n < 5; n += 1) say();
    });
    expect(digits).toBe('12');
    expect(pushed.filter(({ telephoneEvent }) => telephoneEvent)).toHaveLength(20);
    expect(steps().every((step) => step === 1)).toBe(true);
    // Each press has one timestamp, in the time of the audio.
    const times = pushed.filter(({ telephoneEvent }) => telephoneEvent).map(({ timestamp }) => timestamp);
    if (!audio) return;
    expect(new Set(times).size).toBe(2);
    expect(times[0]).toBeLessThan(10_000);
    const spoken = pushed.filter(({ telephoneEvent }) => !telephoneEvent);
    expect(spoken.map(({ timestamp }) => timestamp)).toEqual(spoken.map((_, i) => 160 * (i + 1)));
  });

  it('follows numbers and timestamps that start over, and counts no losses for it', () => {
    for (let n = 0; n < 100; n += 1) receive({ sequence: 9000 + n, timestamp: 160 * n });
    for (let n = 0; n < 100; n += 1) receive({ sequence: 4000 + n, timestamp: 3_000_000_000 + 160 * n });
    expect(pushed).toHaveLength(199);
    expect(steps().every((step) => step === 1)).toBe(true);
    const times = pushed.slice(1).map(({ timestamp }, i) => timestamp - pushed[i]!.timestamp);
    expect(times.every((step) => step === 160 || step === 320)).toBe(true);
    expect(receiver.reception!.packetsLost).toBe(0);
  });

  it('goes on counting what is lost over changes of SSRC, of the numbers and of nothing', () => {
    const say = (sequence: number, ssrc: number): void => {
      for (let n = 0; n < 10; n += 1) {
        now += 20;
        if (n !== 5) receive({ sequence: sequence + n, timestamp: 160 * (sequence + n), ssrc });
      }
    };
    say(100, 1);
    expect(receiver.packetsLost).toBe(1);
    say(7000, 2);
    expect(receiver.packetsLost).toBe(2);
    say(500, 2);
    expect(receiver.packetsLost).toBe(3);
    say(510, 2);
    expect(receiver.packetsLost).toBe(4);
  });

  it('reports key presses whatever SSRC, sequence numbers and timestamps do between them', () => {
    const press = (digit: number, sequence: number, timestamp: number, ssrc: number): void => {
      for (let n = 0; n < 5; n += 1)
        receive({ sequence: sequence + n, timestamp: timestamp + 160 * n, ssrc });
      const payload = Uint8Array.of(digit, 0x8a, 3, 32);
      const fields = { timestamp: timestamp + 800, ssrc, payloadType: 101, payload };
      for (let n = 5; n < 8; n += 1) receive({ ...fields, sequence: sequence + n });
    };
    press(1, 1000, 0x60000000, 1);
    press(2, 40_000, 0x30000000, 2);
    press(3, 100, 0x10000000, 2);
    press(4, 70, 0x0f000000, 2);
    expect(digits).toBe('1234');
  });

  it('refuses payload types that were not agreed', () => {
    expect(receive({ sequence: 1, timestamp: 0, payloadType: 8 })).toBe(false);
    expect(pushed).toEqual([]);
  });

  it('passes on only complete packets, whatever comes', () => {
    const datagram = fc
      .tuple(
        fc.uint8Array({ maxLength: 80 }),
        fc.constantFrom(0, 13, 101, 128, 229),
        fc.integer({ min: 0, max: 63 }),
      )
      .map(([bytes, second, first]) => {
        const packet = Buffer.from(bytes);
        if (packet.length > 1) {
          packet[0] = 0x80 | first;
          packet[1] = second;
        }
        return packet;
      });
    fc.assert(
      fc.property(datagram, (packet) => {
        const { length } = pushed;
        receiver.onPacket(packet, now);
        for (const { bytes } of pushed.slice(length)) {
          expect(bytes).toBeGreaterThanOrEqual(0);
          expect(bytes).toBeLessThanOrEqual(packet.length - 12);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('survives any RTCP', () => {
    receive({ sequence: 1, timestamp: 0 });
    const rtcp = new RtcpSession('x@patchbay', () => undefined);
    const source = {
      ssrc: 1,
      packets: 100,
      octets: 16_000,
      newest: 99,
      clockRate: 8000,
      reception: receiver.reception,
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 200, max: 207 }), (bytes, type) => {
        const packet = Buffer.from(bytes);
        if (packet.length > 3) packet.set([0x81, type, 0], 0);
        rtcp.onPacket(packet, source, now);
        expect(receiver.reception!.report(now).delaySinceLastSenderReport).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });
});
