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
    receiver = new RtpReceiver(() => undefined);
    receiver.configure(session, track);
  });

  const receive = (fields: Parameters<typeof rtpPacket>[0]): boolean => {
    now += 20;
    return receiver.onPacket(rtpPacket(fields), now);
  };
  const steps = (): number[] =>
    pushed.slice(1).map(({ sequence }, i) => (sequence - pushed[i]!.sequence) & 0xffff);

  it('is one stream over a change of SSRC: same SSRC, next number, time that passed', () => {
    for (let n = 0; n < 5; n += 1) receive({ sequence: 65530 + n, timestamp: 160 * n, ssrc: 1 });
    for (let n = 0; n < 8; n += 1) receive({ sequence: 100 + n, timestamp: 9_000_000 + 160 * n, ssrc: 2 });
    expect(new Set(pushed.map(({ ssrc }) => ssrc)).size).toBe(1);
    // The first two of the new stream were needed to believe in it.
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

  it('leaves out comfort noise without a gap', () => {
    receive({ sequence: 1, timestamp: 0 });
    expect(receive({ sequence: 2, timestamp: 160, payloadType: 13, payload: Uint8Array.of(70) })).toBe(true);
    receive({ sequence: 3, timestamp: 1600 });
    expect(steps()).toEqual([1]);
  });

  it('marks telephone events', () => {
    receive({ sequence: 1, timestamp: 0, payloadType: 101, payload: Uint8Array.of(1, 0x8a, 3, 32) });
    expect(pushed).toMatchObject([{ telephoneEvent: true, bytes: 4 }]);
  });

  it('refuses payload types that were not agreed', () => {
    expect(receive({ sequence: 1, timestamp: 0, payloadType: 8 })).toBe(false);
    expect(pushed).toEqual([]);
  });

  it('hands on nothing that is not whole, whatever comes', () => {
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
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 200, max: 207 }), (bytes, type) => {
        const packet = Buffer.from(bytes);
        if (packet.length > 3) packet.set([0x81, type, 0], 0);
        rtcp.onPacket(packet, receiver.reception, now);
        expect(receiver.reception!.report(now).delaySinceLastSenderReport).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });
});
