import { beforeEach, describe, expect, it } from 'vitest';
import { AUDIO_CODECS } from '../codecs/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { RtpReceiver } from './rtp-receiver.js';
import { agreeOn, type AudioSession, chooseAudio } from './sdp/audio-session.js';
import { formatsToOffer } from './sdp/local-description.js';
import { readRemoteDescription } from './sdp/remote-description.js';

/** Of a phone that answers our offer with these lines. */
function answered(...lines: string[]): AudioSession {
  const head = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
  const sdp = [...head, ...lines, ''].join('\r\n');
  const offered = formatsToOffer(undefined, AUDIO_CODECS);
  return agreeOn(chooseAudio(readRemoteDescription(sdp)).section, AUDIO_CODECS, offered);
}

describe('what comes from a phone that answered our offer', () => {
  let receiver: RtpReceiver;
  let packets: number;
  let now: number;
  let digits: string;
  let formats: string[];

  beforeEach(() => {
    [packets, now, digits, formats] = [0, 0, '', []];
    const track = new PublishedTrack({
      kind: 'audio',
      streamId: 's',
      codec: { name: 'PCMU', clockRate: 8000, channels: 1 },
    });
    track.attach({ onPacket: () => (packets += 1) });
    receiver = new RtpReceiver({
      onDigit: (digit) => (digits += digit),
      onAudio: () => undefined,
      onFormat: ({ codec }) => {
        formats.push(codec.name);
        return track;
      },
    });
    receiver.agree(answered('m=audio 4000 RTP/AVP 0 101', 'a=rtpmap:101 telephone-event/8000'));
  });

  const receive = (fields: Parameters<typeof rtpPacket>[0]): boolean => {
    now += 20;
    return receiver.onPacket(rtpPacket(fields), now);
  };
  const event = (digit: number): Uint8Array => Uint8Array.of(digit, 0x8a, 3, 32);

  it('accepts the codec by our payload type, and by the phone’s', () => {
    receiver.agree(answered('m=audio 4000 RTP/AVP 111', 'a=rtpmap:111 opus/48000/2'));
    expect(receive({ sequence: 1, timestamp: 960, payloadType: 96 })).toBe(true);
    expect(receive({ sequence: 2, timestamp: 1920, payloadType: 111 })).toBe(true);
    expect(packets).toBe(2);
    expect(formats).toEqual(['PCMU', 'opus']);
  });

  it('reads digits by both payload types', () => {
    receiver.agree(answered('m=audio 4000 RTP/AVP 0 96', 'a=rtpmap:96 telephone-event/8000'));
    receive({ sequence: 1, timestamp: 0 });
    receive({ sequence: 2, timestamp: 160, payloadType: 101, payload: event(1) });
    receive({ sequence: 3, timestamp: 1600, payloadType: 96, payload: event(2) });
    expect(digits).toBe('12');
  });

  it('follows the phone to another agreed codec, but not for a stray packet, and not too often', () => {
    receiver.agree(answered('m=audio 4000 RTP/AVP 0 8 101', 'a=rtpmap:101 telephone-event/8000'));
    let sequence = 0;
    const say = (payloadType: number, count: number): void => {
      for (let n = 0; n < count; n += 1)
        receive({ sequence: (sequence += 1), timestamp: 160 * sequence, payloadType });
    };
    say(8, 10);
    expect(formats).toEqual(['PCMU', 'PCMU', 'PCMA']);
    say(0, 1);
    say(8, 1);
    for (let n = 0; n < 5; n += 1) {
      say(0, 3);
      say(8, 3);
    }
    expect(formats).toEqual(['PCMU', 'PCMU', 'PCMA']);
    say(8, 50);
    say(0, 3);
    expect(formats).toEqual(['PCMU', 'PCMU', 'PCMA', 'PCMU']);
  });

  it('keeps the codec that is sent when a re-INVITE changes nothing', () => {
    const both = answered('m=audio 4000 RTP/AVP 0 8');
    receiver.agree(both);
    for (let n = 0; n < 5; n += 1) receive({ sequence: n, timestamp: 160 * n, payloadType: 8 });
    receiver.agree(answered('m=audio 4000 RTP/AVP 0 8'));
    expect(formats.at(-1)).toBe('PCMA');
  });
});
