import { describe, expect, it } from 'vitest';
import { type AudioCodec, findAudioCodec, type SampleRate, toTrackCodec } from '../codecs/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { type MixFormat, mixFormat, type MixGroup } from './mix-group.js';
import { MixGroups } from './mix-groups.js';
import { DeviceMix } from './device-mix.js';
import { Listener } from './testing/linear.js';
import { joined, spectralDistances, speech } from './testing/signals.js';

const PCMA = findAudioCodec('PCMA', 8000)!;
const silence = (seconds: number): Int16Array => new Int16Array(8000 * seconds);

/** What reaches a phone: packets decoded by one decoder, as its own would. */
class Received {
  readonly mix: DeviceMix;
  readonly groups: MixGroup[] = [];
  readonly #decoder;
  readonly #frame: Int16Array;
  readonly pcm: Int16Array[] = [];

  constructor(groups: MixGroups, codec: AudioCodec, format: MixFormat, own: PublishedTrack) {
    this.mix = new DeviceMix(groups, format);
    this.mix.setOwn(own);
    this.#decoder = codec.createDecoder(format.rate);
    this.#frame = new Int16Array(format.rate / 50);
  }

  take(frame: number): void {
    const group = this.mix.run(frame);
    this.groups.push(group);
    const [payload] = group.payloads;
    this.#decoder.decode(payload!, 0, payload!.length, this.#frame, 0);
    this.pcm.push(this.#frame.slice());
  }
}

/**
 * Runs phones that say these texts (at 8 kHz) and all hear each other.
 * @returns for the phone `who`: what it receives, what it would from an encoder that is never exchanged, what was mixed, and
 * the frames at which its encoder changed
 */
function conversation(codec: AudioCodec, texts: readonly Int16Array[], who: number) {
  let frame = 0;
  const groups = new MixGroups(() => frame * 20);
  const format = mixFormat(codec, undefined, 20);
  const { rate } = format;
  const tracks = texts.map(
    (_, i) => new PublishedTrack({ kind: 'audio', streamId: `${i}`, codec: toTrackCodec(PCMA) }),
  );
  const others = (i: number): PublishedTrack[] => tracks.filter((track) => track !== tracks[i]);
  const phones = tracks.map((track, i) => {
    const phone = new Received(groups, codec, format, track);
    phone.mix.setTracks(others(i), false);
    return phone;
  });
  const bare = new Listener(groups, rate, tracks[who]);
  bare.mix.setTracks(others(who), false);
  const encoder = codec.createEncoder(rate);
  const decoder = codec.createDecoder(rate);
  const [mixed, alone]: [Int16Array[], Int16Array[]] = [[], []];
  for (; (frame + 1) * 160 <= texts[0]!.length; frame += 1) {
    texts.forEach((text, i) => {
      const payload = Buffer.alloc(160);
      PCMA.createEncoder(8000).encode(text.subarray(frame * 160, frame * 160 + 160), 160, payload, 0);
      tracks[i]!.push(rtpPacket({ sequence: frame, timestamp: frame * 160, payload }), 12, 172, false);
    });
    for (const phone of phones) phone.take(frame);
    mixed.push(bare.hear(frame));
    const payload = Buffer.alloc(1500);
    const length = encoder.encode(mixed.at(-1)!, rate / 50, payload, 0);
    const out = new Int16Array(rate / 50);
    decoder.decode(payload, 0, length, out, 0);
    alone.push(out);
  }
  const phone = phones[who]!;
  const changes = phone.groups.flatMap((group, frame) =>
    frame > 0 && group !== phone.groups[frame - 1] ? [frame] : [],
  );
  return { received: joined(...phone.pcm), alone: joined(...alone), mixed: joined(...mixed), changes, rate };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
/** Distance of two signals in the half second from a frame on: the worst mean over 100 ms. */
function distance(one: Int16Array, other: Int16Array, rate: number, frame: number): number {
  const [from, to] = [(frame * rate) / 50, ((frame + 25) * rate) / 50];
  const frames = spectralDistances(one.subarray(from, to), other.subarray(from, to), rate);
  return Math.max(...frames.slice(4).map((_, i) => mean(frames.slice(i, i + 5))));
}

// The first talks all the time; the second interrupts at 3.2 s for 2 s; the others only listen.
const interrupted = [
  speech(-24, 8000, 14, 1),
  joined(silence(3.2), speech(-20, 8000, 2, 2), silence(8.8)),
  silence(14),
  silence(14),
];
// They take turns, with gaps.
const inTurns = [
  joined(speech(-24, 8000, 3, 1), silence(5), speech(-24, 8000, 4, 3)),
  joined(silence(4), speech(-22, 8000, 3, 2), silence(5)),
  silence(12),
  silence(12),
];

describe('an encoder that is exchanged', () => {
  it('cannot be heard with G.722, whose state is copied, even amid speech', () => {
    const { received, alone, changes, rate } = conversation(findAudioCodec('G722', 8000)!, interrupted, 1);
    // It joined, left when its owner talked, and came back while the other went on.
    expect(changes.length).toBeGreaterThanOrEqual(2);
    expect(changes.filter((frame) => frame > 3.2 * 50 && frame < 3.5 * 50)).toHaveLength(1);
    expect(changes.some((frame) => frame > 7.6 * 50)).toBe(true);

    for (const frame of changes) expect(distance(received, alone, rate, frame)).toBeLessThan(1);
  });

  it('would be heard with G.722 if its state were not copied', () => {
    const codec = findAudioCodec('G722', 8000)!;
    const { mixed, alone, rate } = conversation(codec, interrupted, 1);
    const [first, second, decoder] = [
      codec.createEncoder(rate),
      codec.createEncoder(rate),
      codec.createDecoder(rate),
    ];
    const frame = rate / 50;
    const out = new Int16Array(mixed.length);
    const payload = Buffer.alloc(200);
    for (let at = 0; at < mixed.length; at += frame) {
      const length = (at < 4.5 * rate ? first : second).encode(
        mixed.subarray(at, at + frame),
        frame,
        payload,
        0,
      );
      decoder.decode(payload, 0, length, out, at);
    }

    expect(distance(out, alone, rate, 4.5 * 50)).toBeGreaterThan(3);
  });

  it.each([
    ['in turns', inTurns],
    ['when one interrupts another', interrupted],
  ])('cannot be heard with Opus: %s', (_when, texts) => {
    const { received, alone, mixed, changes, rate } = conversation(findAudioCodec('opus', 48000)!, texts, 1);
    expect(changes.length).toBeGreaterThanOrEqual(1);
    // Opus delays by 6.5 ms of look-ahead, the same in both; two of its encoders never make the same noise.
    const wanted = delayed(mixed, rate, 6.5);
    for (const frame of changes) {
      const own = distance(received, wanted, rate, frame);

      expect(own).toBeLessThan(distance(alone, wanted, rate, frame) + 1);
    }
  });

  it('is exchanged with Opus only in silence by one who comes back', () => {
    const { changes, mixed, rate } = conversation(findAudioCodec('opus', 48000)!, inTurns, 1);
    const back = changes.filter((frame) => frame > 7 * 50);
    for (const frame of back) {
      const around = mixed.subarray((frame - 1) * (rate / 50), (frame + 1) * (rate / 50));
      expect(Math.max(...around.map(Math.abs))).toBeLessThan(64);
    }
  });
});

function delayed(pcm: Int16Array, rate: SampleRate, ms: number): Int16Array {
  const samples = Math.round((rate * ms) / 1000);
  return joined(new Int16Array(samples), pcm.subarray(0, pcm.length - samples));
}
