import { describe, expect, it } from 'vitest';
import { AUDIO_CODECS, type SpeechImpairment } from '../codecs/index.js';
import { opinionScore, transmissionRating } from './e-model.js';

const clean = { loss: 0, delayMs: 0 };
const of = (name: string): SpeechImpairment =>
  AUDIO_CODECS.find((codec) => codec.name === name)!.speechImpairment;
const scoreOf = (codec: SpeechImpairment, loss: number, delayMs = 0): number =>
  opinionScore(codec.scale, transmissionRating(codec, { loss, delayMs }));

describe('the narrowband E-model', () => {
  it('rates the default connection 93.2, as G.107 states, which is a score of 4.41', () => {
    expect(transmissionRating(of('PCMU'), clean)).toBeCloseTo(93.2, 1);
    expect(scoreOf(of('PCMU'), 0)).toBeCloseTo(4.41, 2);
    expect(of('PCMA')).toEqual(of('PCMU'));
  });

  it.each([
    [90, 4.34],
    [80, 4.03],
    [70, 3.6],
    [60, 3.1],
    [50, 2.58],
  ])('gives a rating of %i the score %f (G.107 table B.1)', (rating, score) => {
    // The table rounds up.
    expect(Math.abs(opinionScore('narrowband', rating) - score)).toBeLessThan(0.01);
  });

  it.each([25, 50, 100, 150, 200, 250, 300])(
    'takes away for %i ms what Cole and Rosenbluth published as its approximation (2001)',
    (delayMs) => {
      const published = 0.024 * delayMs + 0.11 * Math.max(0, delayMs - 177.3);
      const taken =
        transmissionRating(of('PCMU'), clean) - transmissionRating(of('PCMU'), { loss: 0, delayMs });
      expect(Math.abs(taken - published)).toBeLessThan(1.2);
    },
  );

  it.each([
    [0.01, 3.6],
    [0.02, 7],
    [0.05, 15.8],
    [0.1, 27.1],
  ])(
    'takes away for a share of %f that is lost what G.107 does with the Bpl of G.711 with concealment',
    (loss, taken) => {
      const rating = transmissionRating(of('PCMU'), { loss, delayMs: 0 });
      expect(transmissionRating(of('PCMU'), clean) - rating).toBeCloseTo(taken, 1);
    },
  );
});

describe('the wideband and fullband E-model', () => {
  const wideband = (ie: number, bpl = 4.3): SpeechImpairment => ({ scale: 'wideband', ie, bpl });

  it.each([
    [0, 4.5],
    [8, 4.42],
    [13, 4.34],
    [41, 3.51],
    [56, 2.92],
  ])('gives an Ie,wb of %i the score %f (G.107.1 annex A)', (ie, score) => {
    expect(scoreOf(wideband(ie), 0)).toBeCloseTo(score, 2);
  });

  it('weighs loss by the constant of narrowband, and has a scale of its own', () => {
    // G.722.2 at 12.65 kbit/s heard with both ears (G.113 tables IV.3 and IV.4) at a loss of 2 %.
    expect(transmissionRating(wideband(20), { loss: 0.02, delayMs: 0 })).toBeCloseTo(129 - 43.81, 2);
    expect(scoreOf(of('G722'), 0)).toBeCloseTo(4.34, 2);
    expect(scoreOf(of('opus'), 0)).toBeCloseTo(4.3, 2);
  });

  it('says which values are estimates', () => {
    expect(
      AUDIO_CODECS.filter(({ speechImpairment }) => speechImpairment.isEstimate).map(({ name }) => name),
    ).toEqual(['opus', 'G722']);
  });
});

it.each(AUDIO_CODECS.map(({ name }) => name))('is never better for more loss or delay: %s', (name) => {
  let last = 5;
  for (const loss of [0, 0.001, 0.01, 0.03, 0.1, 0.3, 0.7, 1, 2]) {
    const score = scoreOf(of(name), loss, 1_000 * Math.min(1, loss));
    expect(score).toBeLessThanOrEqual(last);
    expect(score).toBeGreaterThanOrEqual(1);
    last = score;
  }
  expect(scoreOf(of(name), 0, 100_000)).toBeGreaterThanOrEqual(1);
});
