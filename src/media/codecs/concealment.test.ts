import { describe, expect, it } from 'vitest';
import { spoken } from '../audio/testing/spoken.js';
import { stoi } from '../audio/testing/stoi.js';
import { sine } from '../phone/testing/spectrum.js';
import type { AudioDecoder, SampleRate } from './codec.js';
import { PCMU } from './g711.js';
import { G722 } from './g722.js';
import { OPUS } from './opus.js';
import { LOSS_PATTERNS, packetsOf, throughLoss } from './testing/loss.js';

const CODECS = [
  { name: 'PCMU', codec: PCMU, rate: 8000 },
  { name: 'G.722', codec: G722, rate: 16_000 },
  { name: 'Opus', codec: OPUS, rate: 16_000 },
] as const;
const WAVEFORM_CODECS = CODECS.slice(0, 2);

/** A decoder that has heard 100 ms of a tone. */
function afterTone(
  codec: (typeof CODECS)[number]['codec'],
  rate: SampleRate,
  hertz: number,
): { decoder: AudioDecoder; heard: Int16Array } {
  const encoder = codec.createEncoder(rate);
  const decoder = codec.createDecoder(rate);
  const samples = rate / 50;
  const packet = Buffer.alloc(1500);
  const heard = new Int16Array(5 * samples);
  for (let i = 0; i < 5; i += 1) {
    const length = encoder.encode(sine(hertz, rate, samples, i * samples), samples, packet, 0);
    decoder.decode(packet, 0, length, heard, i * samples);
  }
  return { decoder, heard };
}

const rms = (pcm: Int16Array): number =>
  Math.sqrt(pcm.reduce((sum, sample) => sum + sample * sample, 0) / pcm.length);
const largestStep = (pcm: Int16Array): number =>
  pcm.reduce((most, sample, i) => (i === 0 ? 0 : Math.max(most, Math.abs(sample - pcm[i - 1]!))), 0);

describe.each(CODECS)('speech in $name', ({ codec, rate }) => {
  const speech = spoken(rate).subarray(0, 3 * rate);
  const packets = packetsOf(speech, rate);
  const whole = throughLoss(codec, rate, speech, new Array<boolean>(packets).fill(false), 'silence');

  it.each(LOSS_PATTERNS)('is more intelligible than with silence in the gaps: $name', ({ lost }) => {
    const [concealed, silent] = (['concealment', 'silence'] as const).map((fill) =>
      stoi(whole, throughLoss(codec, rate, speech, lost(packets, 1), fill), rate),
    );
    expect(concealed).toBeGreaterThan(silent!);
  });
});

describe.each(WAVEFORM_CODECS)('concealment of $name', ({ codec, rate }) => {
  const perMs = rate / 1000;

  it('keeps the level for 10 ms, then takes 20 % of it each 10 ms, and is silent after 60 ms', () => {
    const { decoder, heard } = afterTone(codec, rate, 200);
    const level = rms(heard.slice(-20 * perMs));
    const pcm = new Int16Array(100 * perMs);
    decoder.conceal(pcm.length, pcm, 0);
    const levels = Array.from(
      { length: 10 },
      (_, step) => rms(pcm.subarray(step * 10 * perMs, (step + 1) * 10 * perMs)) / level,
    );
    for (const [step, expected] of [1, 0.9, 0.7, 0.5, 0.3, 0.12].entries())
      expect(Math.abs(levels[step]! - expected)).toBeLessThan(0.08);
    expect(pcm.subarray(60 * perMs).every((sample) => sample === 0)).toBe(true);
  });

  it.each([210, 313, 440])('begins and ends in a tone of %i Hz without a click', (hertz) => {
    const tone = sine(hertz, rate, 2 * rate);
    const none = new Array<boolean>(100).fill(false);
    const own = largestStep(throughLoss(codec, rate, tone, none, 'silence'));
    const lost = none.map((_, i) => i % 10 === 5 || i % 20 === 6 || i % 40 === 7);
    const heard = throughLoss(codec, rate, tone, lost, 'concealment');
    expect(largestStep(heard)).toBeLessThan(1.25 * own);
    expect(largestStep(throughLoss(codec, rate, tone, lost, 'silence'))).toBeGreaterThan(2 * own);
  });

  it('repeats one period, then two, then three', () => {
    const period = 6.25 * perMs;
    const { decoder } = afterTone(codec, rate, 160);
    // Three periods that differ: the last is the quietest.
    const encoder = codec.createEncoder(rate);
    const packet = Buffer.alloc(1500);
    const voice = sine(160, rate, 60 * perMs).map((sample, i) =>
      Math.round(sample * (1 - 0.3 * Math.floor(Math.max(0, i - 60 * perMs + 3 * period) / period))),
    );
    const pcm = new Int16Array(60 * perMs);
    for (let i = 0; i < 3; i += 1) {
      const samples = 20 * perMs;
      const length = encoder.encode(voice.subarray(i * samples, (i + 1) * samples), samples, packet, 0);
      decoder.decode(packet, 0, length, pcm, 0);
    }
    decoder.conceal(60 * perMs, pcm, 0);
    const peak = (fromMs: number, toMs: number): number =>
      pcm
        .subarray(fromMs * perMs, toMs * perMs)
        .reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const first = peak(2, 10);
    // Louder than before, though they fade: earlier periods are heard again.
    expect(peak(12, 20)).toBeGreaterThan(1.1 * first);
    expect(peak(20, 30)).toBeGreaterThan(1.1 * first);
  });

  it('is the same however it is asked for', () => {
    const [whole, pieces] = [new Int16Array(60 * perMs), new Int16Array(60 * perMs)];
    afterTone(codec, rate, 210).decoder.conceal(whole.length, whole, 0);
    const { decoder } = afterTone(codec, rate, 210);
    for (let at = 0; at < pieces.length; at += 4 * perMs) decoder.conceal(4 * perMs, pieces, at);
    expect(pieces).toEqual(whole);
  });
});

describe('concealment of Opus', () => {
  const [rate, perMs] = [16_000, 16] as const;

  it('is the same however it is asked for', () => {
    const [whole, pieces] = [new Int16Array(60 * perMs), new Int16Array(60 * perMs)];
    afterTone(OPUS, rate, 210).decoder.conceal(whole.length, whole, 0);
    const { decoder } = afterTone(OPUS, rate, 210);
    for (let at = 0; at < pieces.length; at += 5 * perMs) decoder.conceal(5 * perMs, pieces, at);
    expect(pieces).toEqual(whole);
  });

  it('fades, and leads into the next packet without a click', () => {
    const { decoder, heard } = afterTone(OPUS, rate, 210);
    const own = largestStep(heard.slice(-40 * perMs));
    const pcm = new Int16Array(140 * perMs);
    decoder.conceal(pcm.length, pcm, 0);
    expect(rms(pcm.subarray(0, 20 * perMs))).toBeGreaterThan(0.7 * rms(heard.slice(-20 * perMs)));
    expect(rms(pcm.subarray(120 * perMs))).toBeLessThan(0.05 * rms(heard.slice(-20 * perMs)));
    const again = afterTone(OPUS, rate, 210);
    const encoder = OPUS.createEncoder(rate);
    const packet = Buffer.alloc(1500);
    for (let i = 0; i < 6; i += 1)
      encoder.encode(sine(210, rate, 20 * perMs, i * 20 * perMs), 20 * perMs, packet, 0);
    const length = encoder.encode(sine(210, rate, 20 * perMs, 120 * perMs), 20 * perMs, packet, 0);
    again.decoder.conceal(7 * perMs, pcm, 0);
    again.decoder.decode(packet, 0, length, pcm, 7 * perMs);
    expect(largestStep(pcm.subarray(0, 27 * perMs))).toBeLessThan(1.5 * own);
  });
});
