import { describe, expect, it } from 'vitest';
import { forwardedCodec } from './codecs.js';

const video = (name: string, fmtp?: string) =>
  forwardedCodec('video', { name, clockRate: 90_000, channels: 1, ...(fmtp === undefined ? {} : { fmtp }) });

describe('forwarded codecs', () => {
  it('are the same whatever payload type and spelling the publisher uses', () => {
    expect(forwardedCodec('audio', { name: 'OPUS', clockRate: 48_000, channels: 2 })?.payloadType).toBe(111);
    expect(video('vp8')?.payloadType).toBe(96);
  });

  it('tell the variants of one codec apart', () => {
    const baseline = video('H264', 'profile-level-id=42e01f;packetization-mode=1');
    expect(video('H264', 'packetization-mode=1; profile-level-id=42E034')).toBe(baseline);
    expect(video('H264', 'profile-level-id=42e01f')).not.toBe(baseline);
    expect(video('VP9')).toBe(video('VP9', 'profile-id=0'));
    expect(video('VP9', 'profile-id=2')).not.toBe(video('VP9'));
    expect(video('AV1', 'level-idx=5;profile=0;tier=0')).toBe(video('AV1'));
  });

  // RFC 6184 table 5.
  it.each([
    ['42e0', ['42c0', '42f0', '4de0', '4dc0', '58c0', '58f0']],
    ['4200', ['4280', '5880']],
    ['4d00', ['4d40']],
    ['6400', []],
    ['640c', []],
  ])('know H.264 profile %s in all its spellings', (profile, spellings) => {
    const codec = video('H264', `profile-level-id=${profile}1f;packetization-mode=1`);
    expect(codec?.fmtp).toContain(`profile-level-id=${profile}1f`);
    for (const spelling of spellings) {
      expect(video('H264', `packetization-mode=1;profile-level-id=${spelling.toUpperCase()}28`)).toBe(codec);
    }
  });

  it('exclude formats that we do not know', () => {
    expect(video('H263')).toBeUndefined();
    for (const profile of ['f400', '6e00', '6408', 'zz00', '42'])
      expect(video('H264', `profile-level-id=${profile}1f;packetization-mode=1`)).toBeUndefined();
    expect(forwardedCodec('audio', { name: 'VP8', clockRate: 90_000, channels: 1 })).toBeUndefined();
    expect(forwardedCodec('audio', { name: 'PCMU', clockRate: 16_000, channels: 1 })).toBeUndefined();
  });

  it('have payload types of their own', () => {
    const all = [
      video('VP8'),
      video('VP9'),
      video('VP9', 'profile-id=2'),
      video('AV1'),
      ...['4200', '42e0', '4d00', '6400', '640c'].flatMap((profile) =>
        [0, 1].map((mode) => video('H264', `profile-level-id=${profile}1f;packetization-mode=${mode}`)),
      ),
    ].flatMap((codec) => [codec!.payloadType, codec!.rtxPayloadType!]);
    const used = [...all, 111, 0, 8, 9, 110, 126];
    expect(new Set(used).size).toBe(used.length);
  });
});
