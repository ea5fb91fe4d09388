import { beforeEach, describe, expect, it } from 'vitest';
import { levelOf, SpeechDetector } from './speech-detector.js';

const FRAME_MS = 20;

/** The same numbers in each run (xorshift), 0 to 1. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Level of a frame of white noise: the mean square of 160 samples. */
function noiseFrame(random: () => number, db: number): number {
  let sum = 0;
  for (let i = 0; i < 160; i += 1) sum += 3 * (2 * random() - 1) ** 2;
  return levelOf((sum / 160) * 10 ** (db / 10));
}

/** Levels of speech: syllables of 120 to 250 ms with short gaps, pauses between words, and longer ones. */
function* talk(random: () => number, db: number): Generator<number> {
  for (;;) {
    const syllable = 6 + Math.floor(random() * 7);
    for (let i = 0; i < syllable; i += 1) yield db + 3 - 9 * Math.abs(i / syllable - 0.4) - 3 * random();
    const gap = random() < 0.25 ? 10 : 2;
    for (let i = 0; i < gap; i += 1) yield db - 30;
  }
}

const sumOf = (...levels: number[]): number => levelOf(levels.reduce((sum, db) => sum + 10 ** (db / 10), 0));

describe('who speaks', () => {
  let changes: [at: number, isSpeaking: boolean][];
  let now: number;
  let detector: SpeechDetector;
  const hear = (db: number): void => detector.onLevel(db, FRAME_MS, (now += FRAME_MS));
  const hearFor = (ms: number, level: () => number): void => {
    for (let heard = 0; heard < ms; heard += FRAME_MS) hear(level());
  };
  const begun = (): number => changes.filter(([, isSpeaking]) => isSpeaking).length;

  beforeEach(() => {
    changes = [];
    now = 0;
    detector = new SpeechDetector((isSpeaking) => changes.push([now, isSpeaking]));
  });

  it.each([
    ['silence', -127, -25],
    ['silence, softly', -127, -40],
    ['noise', -50, -25],
    ['loud noise', -38, -20],
  ])('is told within 200 ms after %s', (_, noise, speech) => {
    const random = randomNumbers(1);
    hearFor(5_000, () => noiseFrame(random, noise));
    expect(changes).toEqual([]);
    const words = talk(random, speech);
    const since = now;
    hearFor(3_000, () => sumOf(words.next().value as number, noiseFrame(random, noise)));
    expect(changes[0]![0] - since).toBeLessThanOrEqual(200);
    expect(changes).toHaveLength(1);
    const end = now;
    hearFor(2_000, () => noiseFrame(random, noise));
    expect(changes).toHaveLength(2);
    expect(changes[1]![0] - end).toBeLessThanOrEqual(620);
    expect(Math.abs(detector.levelDb! - speech)).toBeLessThan(3);
  });

  it('is told at the first pause of a stream that begins with speech', () => {
    const words = talk(randomNumbers(5), -25);
    hearFor(3_000, () => words.next().value as number);
    expect(begun()).toBe(1);
  });

  it('does not change between words and sentences', () => {
    const words = talk(randomNumbers(2), -25);
    hearFor(2_000, () => -70);
    hearFor(60_000, () => words.next().value as number);
    expect(changes).toHaveLength(1);
  });

  it.each([-60, -45, -30, -15])('is nobody in ten minutes of noise at %i dB', (db) => {
    const random = randomNumbers(3);
    hearFor(600_000, () => noiseFrame(random, db));
    expect(changes).toEqual([]);
    expect(detector.levelDb).toBeUndefined();
  });

  it('is nobody in noise that swells and ebbs, with clicks of keys', () => {
    const random = randomNumbers(4);
    hearFor(600_000, () => {
      const click = random() < 0.02 ? -15 : -127;
      return sumOf(click, noiseFrame(random, -42 + 4 * Math.sin(now / 3_000)));
    });
    expect(changes).toEqual([]);
  });

  it('is hardly ever anybody in the babble of six', () => {
    const random = randomNumbers(6);
    const talkers = Array.from({ length: 6 }, () => talk(random, -35));
    hearFor(600_000, () => sumOf(...talkers.map((one) => one.next().value as number)));
    expect(begun()).toBeLessThan(10);
  });

  it('is somebody at the onset of noise at most once, and then nobody', () => {
    const random = randomNumbers(7);
    hearFor(3_000, () => -127);
    hearFor(60_000, () => noiseFrame(random, -35));
    expect(begun()).toBe(1);
    expect(changes.at(-1)![0]).toBeLessThan(3_000 + 5_000);
  });

  it('ends when nothing comes any more', () => {
    const words = talk(randomNumbers(8), -25);
    hearFor(2_000, () => -70);
    hearFor(1_000, () => words.next().value as number);
    for (const after of [500, 600, 700]) detector.poll(now + after);
    expect(changes.map(([, isSpeaking]) => isSpeaking)).toEqual([true, false]);
  });

  it('takes packets of other lengths', () => {
    for (let i = 0; i < 50; i += 1) detector.onLevel(-70, 60, (now += 60));
    detector.onLevel(-25, 60, (now += 60));
    detector.onLevel(-25, 60, (now += 60));
    expect(begun()).toBe(1);
  });
});

it('gives the level of a mean square in dB relative to full scale', () => {
  expect([1, 0.5, 1e-4, 0, Number.MIN_VALUE].map((square) => Math.round(levelOf(square)))).toEqual([
    0, -3, -40, -127, -127,
  ]);
});
