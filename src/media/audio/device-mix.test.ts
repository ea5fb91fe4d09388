import { beforeEach, describe, expect, it } from 'vitest';
import { findAudioCodec, toTrackCodec } from '../codecs/index.js';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { MixGroups } from './mix-groups.js';
import { Listener } from './testing/linear.js';
import { p56, speech } from './testing/signals.js';

class Talker {
  readonly track: PublishedTrack;
  #n = 0;
  readonly #hertz: number;
  readonly #amplitude: number;
  readonly #codec = findAudioCodec('PCMA', 8000)!;

  constructor(hertz: number, amplitude = 8000) {
    this.#hertz = hertz;
    this.#amplitude = amplitude;
    const { name, clockRate, channels } = this.#codec;
    this.track = new PublishedTrack({
      kind: 'audio',
      streamId: `s${hertz}`,
      codec: { name, clockRate, channels },
    });
  }

  /** A packet without a payload, as browsers send to probe the network. */
  probe(): void {
    const packet = rtpPacket({
      sequence: this.#n,
      timestamp: (this.#n - 1) * 160,
      payload: new Uint8Array(),
    });
    this.track.push(packet, 12, 12, false);
  }

  talk(): void {
    const payload = Buffer.alloc(160);
    const pcm = sine(this.#hertz, 8000, 160, this.#n * 160, this.#amplitude);
    this.#codec.createEncoder(8000).encode(pcm, 160, payload, 0);
    this.track.push(rtpPacket({ sequence: this.#n, timestamp: this.#n * 160, payload }), 12, 172, false);
    this.#n += 1;
  }
}

describe('device mix', () => {
  let groups: MixGroups;
  let talkers: Talker[];
  let now = 0;
  const heard = (mixes: readonly Listener[], frames: number, from = 0): Int16Array[] => {
    const outs = mixes.map((mix) => new Int16Array((mix.rate / 50) * frames));
    for (let frame = 0; frame < frames; frame += 1) {
      for (const talker of talkers) talker.talk();
      mixes.forEach((mix, i) => mix.hear(from + frame, outs[i], (frame * mix.rate) / 50));
      now += 20;
    }
    return outs.map((out, i) => out.subarray((mixes[i]!.rate / 50) * 5));
  };

  beforeEach(() => {
    now = 0;
    groups = new MixGroups(() => now);
    talkers = [];
  });

  it('is the sum of just the tracks delivered', () => {
    talkers = [new Talker(400), new Talker(900), new Talker(1500)];
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks([talkers[0]!.track, talkers[1]!.track]);
    const [pcm] = heard([mix], 30);
    expect(toneLevel(pcm!, 8000, 400)).toBeCloseTo(8000 / 32768, 1);
    expect(toneLevel(pcm!, 8000, 900)).toBeCloseTo(8000 / 32768, 1);
    expect(toneLevel(pcm!, 8000, 1500)).toBeLessThan(0.005);
  });

  it('has nothing of packets without a payload', () => {
    talkers = [new Talker(400)];
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks([talkers[0]!.track], false);
    for (let frame = 0; frame < 50; frame += 1) {
      talkers[0]!.talk();
      talkers[0]!.probe();
      mix.mix.run(frame);
    }
    // Of the start.
    expect(talkers[0]!.track.played).toEqual({ discarded: 0, concealedMs: 20 });
  });

  it('takes a changed delivery into the next frame', () => {
    talkers = [new Talker(400), new Talker(900)];
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks([talkers[0]!.track]);
    heard([mix], 20);
    mix.mix.setTracks([]);
    const silence = new Int16Array(160).fill(1);
    mix.hear(20, silence);
    expect(silence.every((sample) => sample === 0)).toBe(true);
  });

  it('turns down what exceeds full scale, and neither clips nor wraps around', () => {
    talkers = [new Talker(400, 32000), new Talker(401, 32000), new Talker(402, 32000)];
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks(talkers.map(({ track }) => track));
    const [pcm] = heard([mix], 10);
    expect(Math.max(...pcm!)).toBeLessThan(32767);
    expect(Math.max(...pcm!)).toBeGreaterThan(25_000);
    expect(Math.min(...pcm!)).toBeGreaterThan(-32768);
    const steps = pcm!.subarray(1).map((sample, i) => Math.abs(sample - pcm![i]!));
    expect(Math.max(...steps)).toBeLessThan(32767);
  });

  it('decodes each track once for each rate, and releases decoders', () => {
    talkers = [new Talker(400)];
    const track = talkers[0]!.track;
    const mixes = [
      new Listener(groups, 8000),
      new Listener(groups, 8000),
      new Listener(groups, 16000),
      new Listener(groups, 48000),
    ];
    for (const mix of mixes) mix.mix.setTracks([track]);
    expect(groups.decoders.size).toBe(3);
    expect(track.sinkCount).toBe(3);
    for (const [i, pcm] of heard(mixes, 20).entries()) {
      expect(toneLevel(pcm, mixes[i]!.rate, 400)).toBeCloseTo(8000 / 32768, 1);
    }
    for (const mix of mixes) mix.mix.close();
    expect(groups.decoders.size).toBe(0);
    expect(track.sinkCount).toBe(0);
  });

  /** Sends four seconds of a 400 Hz tone through Opus and a mix. @returns its level in the second and in the last second */
  function overOpus(amplitudes: readonly number[], fmtp?: string): [early: number, late: number] {
    const opus = findAudioCodec('opus', 48000)!;
    const encoder = opus.createEncoder(48000, fmtp);
    const track = new PublishedTrack({ kind: 'audio', streamId: 'opus', codec: opus });
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks([track]);
    const out = new Int16Array(160 * 200);
    for (let n = 0; n < 200; n += 1) {
      const payload = Buffer.alloc(1500);
      const pcm = sine(400, 48000, 960, n * 960, amplitudes[Math.floor(n / 50)]);
      const bytes = encoder.encode(pcm, 960, payload, 0);
      const packet = rtpPacket({ sequence: n, timestamp: n * 960, payload: payload.subarray(0, bytes) });
      // With DTX browsers send only a packet now and then in silence.
      if (bytes > 2) track.push(packet, 12, packet.length, false);
      mix.hear(n, out, n * 160);
      now += 20;
    }
    mix.mix.close();
    return [toneLevel(out.subarray(8_000, 16_000), 8000, 400), toneLevel(out.subarray(26_000), 8000, 400)];
  }

  it('plays a quiet steady sound as long as it lasts', () => {
    // 46 dB under full scale.
    const levels = overOpus([164, 164, 164, 164]);
    for (const level of levels) expect(20 * Math.log10(level)).toBeCloseTo(-46, 0);
  });

  it('plays sound after a pause without packets as loud as before', () => {
    const [before, after] = overOpus([8000, 8000, 0, 8000], 'usedtx=1');
    expect(after).toBeGreaterThan(0.8 * before);
  });

  /** Has each talker say a text of samples, in A-law, one after the other frame. @returns what a mix of them is */
  function said(texts: readonly Int16Array[], levelling: boolean): Int16Array {
    const codec = findAudioCodec('PCMA', 8000)!;
    const tracks = texts.map(
      (_, i) => new PublishedTrack({ kind: 'audio', streamId: `t${i}`, codec: toTrackCodec(codec) }),
    );
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks(tracks, levelling);
    const encoder = codec.createEncoder(8000);
    const frames = Math.floor(texts[0]!.length / 160);
    const out = new Int16Array(160 * frames);
    for (let n = 0; n < frames; n += 1) {
      texts.forEach((text, i) => {
        const payload = Buffer.alloc(160);
        encoder.encode(text.subarray(n * 160, n * 160 + 160), 160, payload, 0);
        tracks[i]!.push(rtpPacket({ sequence: n, timestamp: n * 160, payload }), 12, 172, false);
      });
      mix.hear(n, out, n * 160);
      now += 20;
    }
    mix.mix.close();
    return out;
  }

  it('is bit by bit what one talker says when levels are not evened', () => {
    const text = speech(-12, 8000, 4);
    const codec = findAudioCodec('PCMA', 8000)!;
    const payload = Buffer.alloc(text.length);
    const decoded = new Int16Array(text.length);
    codec.createEncoder(8000).encode(text, text.length, payload, 0);
    codec.createDecoder(8000).decode(payload, 0, payload.length, decoded, 0);
    const mixed = said([text], false);
    // It comes by the 20 ms of the playout's reserve later, and is faded in.
    expect(mixed.subarray(320)).toEqual(decoded.subarray(160, mixed.length - 160));
  });

  it('has two talkers 20 dB apart within 3 dB, unless levels are not evened', () => {
    const [loud, quiet] = [speech(-16, 8000, 16, 1), speech(-36, 8000, 16, 2)];
    const silence = new Int16Array(loud.length);
    const apart = (levelling: boolean): number => {
      const levels = [
        [loud, silence],
        [silence, quiet],
      ].map((texts) => p56(said(texts, levelling).subarray(-8000 * 8), 8000));
      return Math.abs(levels[0]! - levels[1]!);
    };
    expect(apart(true)).toBeLessThan(3);
    expect(apart(false)).toBeGreaterThan(18);
  });

  it('takes another wish about levels at once, with the same tracks', () => {
    talkers = [new Talker(400)];
    const mix = new Listener(groups, 8000);
    const tracks = [talkers[0]!.track];
    mix.mix.setTracks(tracks, true);
    mix.mix.setTracks(tracks, false);
    expect(groups.decoders.size).toBe(1);
    const other = new Listener(groups, 8000);
    other.mix.setTracks(tracks, true);
    expect(groups.decoders.size).toBe(2);
    for (const each of [mix, other]) each.mix.close();
    expect(groups.decoders.size).toBe(0);
    expect(tracks[0]!.sinkCount).toBe(0);
  });

  it('leaves out video and what it cannot decode', () => {
    const tracks = [
      new PublishedTrack({
        kind: 'video',
        streamId: 'v',
        codec: { name: 'VP8', clockRate: 90000, channels: 1 },
      }),
      new PublishedTrack({
        kind: 'audio',
        streamId: 'i',
        codec: { name: 'iSAC', clockRate: 16000, channels: 1 },
      }),
    ];
    const mix = new Listener(groups, 8000);
    mix.mix.setTracks(tracks);
    expect(groups.decoders.size).toBe(0);
  });
});
