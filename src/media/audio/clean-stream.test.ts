import { beforeAll, describe, expect, it, vi } from 'vitest';
import { findAudioCodec, type SampleRate } from '../codecs/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { MixGroups } from './mix-groups.js';
import { createRnnoise, loadRnnoise, RNNOISE_FRAME, RnnoiseState } from './rnnoise.js';
import { Listener } from './testing/linear.js';
import { levelDb, noise, seeded } from './testing/signals.js';
import { spoken } from './testing/spoken.js';
import { stoi } from './testing/stoi.js';

/** About 7 dB below the speech. */
const NOISE_RMS = 0.03;
/** 16 dB below it. */
const QUIET_RMS = 0.01;
/** STOI cannot be told more exactly: other noise of the same kind changes as much. */
const ROUNDING = 0.0005;

/** Noise that falls by 3 dB an octave, by the filter of P. Kellet. */
function pink(rms: number, samples: number): Int16Array {
  const white = noise(0.1, samples, 7);
  const state = [0, 0, 0];
  const poles = [0.99765, 0.963, 0.57];
  const gains = [0.099046, 0.2965164, 1.0526913];
  const raw = Float64Array.from(white, (sample) => {
    let sum = 0.1848 * sample;
    for (const [i, pole] of poles.entries()) sum += state[i] = pole * state[i]! + gains[i]! * sample;
    return sum;
  });
  return scaled(raw, rms);
}

/** The hum of the mains with its harmonics, and the air of a fan. */
function fan(rms: number, samples: number, rate: number): Int16Array {
  const random = seeded(3);
  let air = 0;
  const raw = Float64Array.from({ length: samples }, (_, i) => {
    air = 0.9 * air + (random() - 0.5);
    const seconds = i / rate;
    const hum = [50, 100, 150, 300].reduce(
      (sum, hertz) => sum + Math.sin(2 * Math.PI * hertz * seconds) / Math.sqrt(hertz / 50),
      0,
    );
    return air + 0.5 * hum;
  });
  return scaled(raw, rms);
}

function scaled(raw: Float64Array, rms: number): Int16Array {
  const power = raw.reduce((sum, sample) => sum + sample ** 2, 0) / raw.length;
  return Int16Array.from(raw, (sample) => Math.round((sample * rms * 32768) / Math.sqrt(power)));
}

/** A talker, and somebody who hears it at each of some rates. */
function setUp(name: 'PCMU' | 'G722', suppressesNoise: boolean, rates: readonly SampleRate[]) {
  const codec = findAudioCodec(name, 8000)!;
  const encoder = codec.createEncoder(codec.mixRate());
  const track = new PublishedTrack({
    kind: 'audio',
    streamId: 's',
    codec: { name, clockRate: codec.clockRate, channels: 1 },
  });
  track.suppressesNoise = suppressesNoise;
  /** Packets and frames come by it, every 20 ms. */
  const clock = { now: 0 };
  const groups = new MixGroups(() => clock.now);
  const listeners = rates.map((rate) => new Listener(groups, rate));
  for (const { mix } of listeners) mix.setTracks([track], false);
  const payload = Buffer.alloc(160);
  const talk = (pcm: Int16Array, frame: number): void => {
    encoder.encode(pcm, pcm.length, payload, 0);
    track.push(rtpPacket({ sequence: frame, timestamp: frame * 160, payload }), 12, 172, false);
  };
  return { track, groups, listeners, talk, clock, samples: codec.mixRate() / 50 };
}

/** What comes of sound whose packets come in time, at each of some rates. */
function heard(
  name: 'PCMU' | 'G722',
  pcm: Int16Array,
  suppressesNoise: boolean,
  rates: readonly SampleRate[],
): { heard: Int16Array[]; track: PublishedTrack } {
  const { track, listeners, talk, clock, samples } = setUp(name, suppressesNoise, rates);
  const frames = Math.floor(pcm.length / samples);
  const out = rates.map((rate) => new Int16Array((rate / 50) * frames));
  for (let frame = 0; frame < frames; frame += 1) {
    clock.now = 20 * frame;
    talk(pcm.slice(frame * samples, (frame + 1) * samples), frame);
    listeners.forEach((listener, i) => listener.hear(frame, out[i], (frame * listener.rate) / 50));
  }
  return { heard: out, track };
}

/** @returns `other` moved so that it is in step with `clean`, by the lag that they agree best at */
function inStep(clean: Int16Array, other: Int16Array, maxLag: number): Int16Array {
  let best = 0;
  let most = -Infinity;
  for (let lag = 0; lag < maxLag; lag += 1) {
    let sum = 0;
    for (let i = 0; i + lag < other.length; i += 29) sum += clean[i]! * other[i + lag]!;
    if (sum > most) [most, best] = [sum, lag];
  }
  const moved = new Int16Array(clean.length);
  moved.set(other.subarray(best));
  return moved;
}

describe('a stream without its noise', () => {
  beforeAll(() => loadRnnoise());

  it.each([
    ['PCMU', 8000, 'white noise', noise(NOISE_RMS, 8000 * 5)],
    ['PCMU', 8000, 'quiet white noise', noise(QUIET_RMS, 8000 * 5)],
    ['PCMU', 8000, 'the hum and the air of a fan', fan(NOISE_RMS, 8000 * 5, 8000)],
    ['G722', 16_000, 'pink noise', pink(NOISE_RMS, 16_000 * 5)],
    ['G722', 16_000, 'quiet white noise', noise(QUIET_RMS, 16_000 * 5)],
  ] as const)(
    'has noise lowered by 10 dB in pauses, and speech that is no less intelligible (%s at %d Hz, %s)',
    (name, rate, _kind, hiss) => {
      const lead = 2 * rate;
      const clean = new Int16Array(hiss.length);
      clean.set(spoken(rate).subarray(0, clean.length - lead), lead);
      const noisy = clean.map((sample, i) => sample + hiss[i]!);
      const [before, after] = [false, true].map((on) => heard(name, noisy, on, [rate]).heard[0]!);
      // RNNoise needs a moment to know the noise.
      const pause = [rate, lead - rate / 10] as const;
      expect(levelDb(before!, ...pause) - levelDb(after!, ...pause)).toBeGreaterThan(10);
      const [without, withIt] = [before!, after!].map((out) =>
        stoi(clean.subarray(lead), inStep(clean, out, rate / 10).subarray(lead), rate),
      );
      expect(withIt).toBeGreaterThan(without! - ROUNDING);
    },
  );

  it.each([0.003, QUIET_RMS, 0.02, NOISE_RMS, 0.1])(
    'has speech in white noise of any level (RMS %d) no less intelligible, at 48 kHz',
    (rms) => {
      const rate = 48_000;
      const hiss = noise(rms, rate * 5);
      const lead = 2 * rate;
      const clean = new Int16Array(hiss.length);
      clean.set(spoken(rate).subarray(0, clean.length - lead), lead);
      const noisy = clean.map((sample, i) => sample + hiss[i]!);
      const rnnoise = createRnnoise()!;
      const out = new Float32Array(noisy.length);
      for (let at = 0; at + RNNOISE_FRAME <= noisy.length; at += RNNOISE_FRAME)
        rnnoise.process(noisy, out, at);
      rnnoise.free();
      // Two frames late.
      const late = Int16Array.from(out.subarray(2 * RNNOISE_FRAME), Math.round);
      expect(levelDb(noisy, rate, lead) - levelDb(late, rate, lead - rate / 10)).toBeGreaterThan(10);
      const end = late.length;
      const [without, withIt] = [noisy, late].map((pcm) =>
        stoi(clean.subarray(lead, end), pcm.subarray(lead, end), rate),
      );
      expect(withIt).toBeGreaterThan(without! - ROUNDING);
    },
  );

  it.each([1, 2, 3, 4, 5])(
    'has noise lowered after a loud beginning, whatever it is taken for (seed %i)',
    (seed) => {
      const tone = Int16Array.from(
        { length: 8_000 },
        (_, i) => 8_000 * Math.sin((2 * Math.PI * 440 * i) / 8_000),
      );
      const steady = noise(NOISE_RMS, 5 * 8_000, seed);
      const sound = Int16Array.from([...tone, ...steady]);
      const {
        heard: [clean],
      } = heard('PCMU', sound, true, [8000]);
      expect(levelDb(clean!.subarray(3 * 8_000, 6 * 8_000)) - levelDb(steady)).toBeLessThan(-10);
    },
  );

  it('is decoded as it is again when that is not wanted any more, and freed with its last listener', () => {
    const { track, groups, listeners } = setUp('PCMU', true, [8000, 16_000]);
    const free = vi.spyOn(RnnoiseState.prototype, 'free');
    const run = (frame: number): void => listeners.forEach((listener) => void listener.hear(frame));
    run(0);
    expect([track.sinkCount, groups.decoders.size]).toEqual([1, 2]);
    track.suppressesNoise = false;
    run(1);
    expect(free).toHaveBeenCalledTimes(1);
    expect(track.sinkCount).toBe(2);
    track.suppressesNoise = true;
    run(2);
    for (const { mix } of listeners) mix.close();
    expect(free).toHaveBeenCalledTimes(2);
    expect(track.sinkCount).toBe(0);
    free.mockRestore();
  });

  it('is silent, at no cost, when nothing comes any more', () => {
    const process = vi.spyOn(RnnoiseState.prototype, 'process');
    const { listeners, talk, clock } = setUp('PCMU', true, [8000]);
    const tone = noise(NOISE_RMS, 160);
    const hear = (frame: number): Int16Array => {
      clock.now = 20 * frame;
      return listeners[0]!.hear(frame);
    };
    for (let frame = 0; frame < 10; frame += 1) {
      clock.now = 20 * frame;
      talk(tone, frame);
      hear(frame);
    }
    for (let frame = 10; frame < 40; frame += 1) hear(frame);
    const runs = process.mock.calls.length;
    const rest = Array.from({ length: 30 }, (_, i) => hear(40 + i));
    expect(process).toHaveBeenCalledTimes(runs);
    expect(rest.flatMap((pcm) => [...pcm]).every((sample) => sample === 0)).toBe(true);
    process.mockRestore();
  });
});
