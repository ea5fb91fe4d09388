import { describe, expect, it } from 'vitest';
import { MixGroups } from '../audio/index.js';
import { findStaticAudioCodec, toTrackCodec } from '../codecs/index.js';
import {
  RTP_FIXED_HEADER,
  rtpMarker,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
} from '../rtp/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { createMasterKey, SRTP_SUITES, SrtpReceiver } from '../srtp/index.js';
import { PublishedTrack } from '../track.js';
import { PhoneCrypto } from './phone-crypto.js';
import { RtpSender } from './rtp-sender.js';
import { agreeOn, type AudioSession, chooseAudio } from './sdp/audio-session.js';
import { readRemoteDescription } from './sdp/remote-description.js';
import { sdp } from './testing/negotiate.js';
import { sine } from './testing/spectrum.js';

const PCMU = findStaticAudioCodec(0)!;
const suite = SRTP_SUITES.find(({ name }) => name === 'AES_CM_128_HMAC_SHA1_80')!;

function sessionOf(...lines: string[]): AudioSession {
  const offer = readRemoteDescription(sdp('m=audio 4000 RTP/AVP 0 101', 'a=rtpmap:0 PCMU/8000', ...lines));
  return agreeOn(chooseAudio(offer).section);
}

/** The sending half of a phone that hears one talker. */
class Phone {
  readonly sent: Buffer[] = [];
  readonly crypto = new PhoneCrypto(0);
  readonly sender: RtpSender;

  constructor(groups: MixGroups, track: PublishedTrack, session: AudioSession) {
    this.sender = new RtpSender(groups, this.crypto, (packet) => this.sent.push(Buffer.from(packet)));
    this.crypto.apply(session.crypto);
    this.sender.configure(session);
    this.sender.setTracks([track], false);
  }
}

describe('silence', () => {
  const groups = new MixGroups();
  const track = new PublishedTrack({ kind: 'audio', streamId: 't', codec: toTrackCodec(PCMU) });
  const encoder = PCMU.createEncoder(8000);
  let sequence = 0;
  const talk = (frame: number, amplitude: number): void => {
    const payload = Buffer.alloc(160);
    encoder.encode(sine(400, 8000, 160, frame * 160, amplitude), 160, payload, 0);
    sequence += 1;
    track.push(rtpPacket({ sequence, timestamp: frame * 160, payload }), 12, 172, false);
  };
  const noiseOffer = readRemoteDescription(
    sdp('m=audio 4000 RTP/AVP 0 101 97', 'a=rtpmap:101 telephone-event/8000', 'a=rtpmap:97 CN/8000'),
  );
  const withNoise = agreeOn(chooseAudio(noiseOffer).section);

  it('is sent as comfort noise twice a second to a phone that offered it, as audio to others', () => {
    const [phone, other] = [withNoise, sessionOf()].map((session) => new Phone(groups, track, session));
    const typesIn = (from: number, to: number, amplitude: number): number[] => {
      const { length } = phone!.sent;
      for (let frame = from; frame < to; frame += 1) {
        talk(frame, amplitude);
        for (const { sender } of [phone!, other!]) sender.onFrame(frame);
      }
      return phone!.sent.slice(length).map(rtpPayloadType);
    };
    expect(typesIn(0, 50, 8000)).toEqual(new Array(50).fill(0));
    // Quieter than any sound: -70 dBov.
    const fading = typesIn(50, 110, 15);
    expect(fading.filter((type) => type === 97)).toHaveLength(1);
    expect(fading.indexOf(97)).toBeGreaterThan(40);
    expect(typesIn(110, 310, 15)).toEqual(new Array(8).fill(97));
    const noise = phone!.sent.at(-1)!;
    expect(noise).toHaveLength(RTP_FIXED_HEADER + 1);
    expect(Math.abs(noise[RTP_FIXED_HEADER]! - 70)).toBeLessThan(4);
    phone!.sender.sendDtmf({ digits: '5' });
    expect(typesIn(310, 315, 15)).toEqual(new Array(5).fill(101));
    typesIn(315, 400, 15);
    const back = typesIn(400, 410, 8000);
    expect(new Set(back)).toEqual(new Set([0]));
    const speech = phone!.sent.slice(-back.length);
    expect(speech.map(rtpMarker)).toEqual(back.map((_, i) => i === 0));
    const first = phone!.sent[0]!;
    for (const [i, packet] of phone!.sent.entries())
      expect((rtpSequence(packet) - rtpSequence(first)) & 0xffff).toBe(i);
    expect((rtpTimestamp(speech.at(-1)!) - rtpTimestamp(first)) >>> 0).toBe(409 * 160);
    expect(new Set(other!.sent.map(rtpPayloadType))).toEqual(new Set([0]));
    expect(other!.sent).toHaveLength(410);
  });
});

it('begins each stream far from the end of the sequence numbers: a phone may miss the first packets', () => {
  const groups = new MixGroups();
  const track = new PublishedTrack({ kind: 'audio', streamId: 't', codec: toTrackCodec(PCMU) });
  const first = Array.from({ length: 64 }, () => {
    const phone = new Phone(groups, track, sessionOf());
    phone.sender.onFrame(0);
    return rtpSequence(phone.sent[0]!);
  });
  for (const sequence of first) expect(sequence).toBeLessThan(0x8000);
  expect(new Set(first).size).toBeGreaterThan(1);
});

describe('payloads for several phones', () => {
  const talker = () => {
    const track = new PublishedTrack({ kind: 'audio', streamId: 't', codec: toTrackCodec(PCMU) });
    const encoder = PCMU.createEncoder(8000);
    const talk = (frame: number): void => {
      const payload = Buffer.alloc(160);
      encoder.encode(sine(400, 8000, 160, frame * 160), 160, payload, 0);
      track.push(rtpPacket({ sequence: frame, timestamp: frame * 160, payload }), 12, 172, false);
    };
    return { track, talk };
  };

  it('are the same, under headers and keys of their own, and encrypted only in copies', () => {
    const groups = new MixGroups();
    const { track, talk } = talker();
    const remoteKey = createMasterKey(suite);
    const plain = sessionOf();
    const secure = { ...plain, crypto: { tag: 1, suite, remoteKey } };
    // The encrypted ones come first: what they do to the payload would reach the others.
    const phones = [secure, secure, plain, plain].map((session) => new Phone(groups, track, session));
    for (let frame = 0; frame < 20; frame += 1) {
      talk(frame);
      for (const { sender } of phones) sender.onFrame(frame);
    }
    expect(groups.size.groups).toBe(1);
    const payloads = phones.map(({ sent, crypto }) => {
      expect(sent).toHaveLength(20);
      const last = sent.at(-1)!;
      if (last.length === RTP_FIXED_HEADER + 160) return last.subarray(RTP_FIXED_HEADER);
      const opened = new SrtpReceiver(suite, crypto.keyFor(suite)).unprotectRtp(last);
      return last.subarray(RTP_FIXED_HEADER, opened);
    });
    for (const payload of payloads) expect(payload.equals(payloads[3]!)).toBe(true);
    expect(new Set(phones.map(({ sent }) => rtpSsrc(sent[0]!))).size).toBe(4);
    for (const { sent } of phones) {
      expect(new Set(sent.map(rtpSsrc)).size).toBe(1);
      expect((rtpSequence(sent.at(-1)!) - rtpSequence(sent[0]!)) & 0xffff).toBe(19);
    }
  });

  it('do not have the digits that are for one of them', () => {
    const groups = new MixGroups();
    const { track, talk } = talker();
    const events = sessionOf('a=rtpmap:101 telephone-event/8000');
    const [a, b, toneless] = [events, events, sessionOf()].map(
      (session) => new Phone(groups, track, session),
    );
    const run = (from: number, to: number): void => {
      for (let frame = from; frame < to; frame += 1) {
        talk(frame);
        for (const { sender } of [a!, b!, toneless!]) sender.onFrame(frame);
      }
    };
    run(0, 10);
    a!.sender.sendDtmf({ digits: '5' });
    toneless!.sender.sendDtmf({ digits: '5' });
    run(10, 15);
    const last = [a!, b!, toneless!].map(({ sent }) => sent.at(-1)!);
    expect(last.map(rtpPayloadType)).toEqual([101, 0, 0]);
    expect(toneless!.sent).toHaveLength(15);
    expect(last[1]!.subarray(RTP_FIXED_HEADER).equals(last[2]!.subarray(RTP_FIXED_HEADER))).toBe(false);
    run(15, 40);
    const after = [a!, b!, toneless!].map(({ sent }) => sent.at(-1)!.subarray(RTP_FIXED_HEADER));
    for (const payload of after) expect(payload.equals(after[1]!)).toBe(true);
    expect(groups.size.groups).toBe(1);
  });

  it.each([10, 30, 40, 60])('begin at the same frames when they last %i ms', (ptime) => {
    const groups = new MixGroups();
    const { track, talk } = talker();
    const session = sessionOf(`a=ptime:${ptime}`);
    const first = new Phone(groups, track, session);
    const later = new Phone(groups, track, session);
    for (let frame = 0; frame < 31; frame += 1) {
      talk(frame);
      first.sender.onFrame(frame);
      if (frame >= 7) later.sender.onFrame(frame);
    }
    expect(groups.size.groups).toBe(1);
    expect(first.sent.length).toBe(Math.floor(600 / ptime) + (ptime === 10 ? 2 : 0));
    const [one, other] = [first, later].map(({ sent }) => sent.at(-1)!.subarray(RTP_FIXED_HEADER));
    expect(one!.length).toBe(ptime * 8);
    expect(other!.equals(one!)).toBe(true);
  });
});
