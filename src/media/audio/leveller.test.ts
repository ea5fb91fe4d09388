import { describe, expect, it } from 'vitest';
import { DtmfTones } from '../rtp/index.js';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { Leveller } from './leveller.js';
import { joined, levelDb, music, noise, p56, speech } from './testing/signals.js';

const FRAME = 160;

/** Levels a signal at 8 kHz. @returns what is heard, and the gain of each frame in dB */
function levelled(pcm: Int16Array): { heard: Int16Array; gains: number[] } {
  const leveller = new Leveller();
  const heard = new Int16Array(pcm.length);
  const gains: number[] = [];
  for (let at = 0; at + FRAME <= pcm.length; at += FRAME) {
    leveller.take(at / FRAME, pcm.subarray(at, at + FRAME), 8000);
    for (let i = at; i < at + FRAME; i += 1) heard[i] = Math.round(pcm[i]! * leveller.gain);
    gains.push(20 * Math.log10(leveller.gain));
  }
  return { heard, gains };
}

const lastSeconds = (pcm: Int16Array, seconds: number): Int16Array => pcm.subarray(-8000 * seconds);

describe('leveller', () => {
  it.each([
    [-16, -36],
    [-26, -44],
    [-14, -30],
  ])('brings talkers at %i and %i dBov within 3 dB of each other', (loud, quiet) => {
    const one = p56(lastSeconds(levelled(speech(loud, 8000, 16, 1)).heard, 8), 8000);
    const other = p56(lastSeconds(levelled(speech(quiet, 8000, 16, 2)).heard, 8), 8000);
    expect(Math.abs(one - other)).toBeLessThan(3);
  });

  it('moves by at most 6 dB a second, and keeps within 18 dB', () => {
    for (const db of [-3, -60]) {
      const { gains } = levelled(speech(db, 8000, 20));
      expect(Math.max(...gains.map(Math.abs))).toBeLessThanOrEqual(18.001);
      const steps = gains.slice(50).map((gain, i) => Math.abs(gain - gains[i]!));
      expect(Math.max(...steps)).toBeLessThanOrEqual(6.001);
    }
  });

  /** Speech in pieces of 2 s, and 3 s of comfort noise after each. @returns the frames' gains in dB */
  const withComfort = (
    leveller: Leveller,
    said: Int16Array,
    comfortDb: number,
    comforts = true,
  ): number[] => {
    const hiss = noise(10 ** (comfortDb / 20), 24_000);
    const gains: number[] = [];
    const take = (pcm: Int16Array, db?: number): void => {
      for (let at = 0; at < pcm.length; at += FRAME) {
        leveller.take(gains.length, pcm.subarray(at, at + FRAME), 8000, db);
        gains.push(20 * Math.log10(leveller.gain));
      }
    };
    for (let at = 0; at < said.length; at += 16_000) {
      take(said.subarray(at, at + 16_000));
      if (comforts) take(hiss, comfortDb);
    }
    return gains;
  };

  it('takes comfort noise for no speech', () => {
    const said = speech(-34, 8000, 16, 3);
    const [without, leveller] = [new Leveller(), new Leveller()];
    withComfort(without, said, -65, false);
    const gains = withComfort(leveller, said, -65);
    expect(Math.abs(leveller.speech.levelDb! - without.speech.levelDb!)).toBeLessThan(1);
    // Once the speech before has died away.
    const pauses = gains.filter((_, i) => i % 250 >= 130);
    for (const [i, gain] of pauses.entries()) if (i % 120 > 0) expect(gain).toBe(pauses[i - 1]);
  });

  it('does not turn up comfort noise above its ceiling, and hears it like other noise', () => {
    const said = speech(-44, 8000, 16, 3);
    const [loud, quiet] = [new Leveller(), new Leveller()];
    expect(withComfort(loud, said, -46).at(-1)).toBeLessThan(0.5);
    expect(withComfort(quiet, said, -65).at(-1)).toBeLessThan(10.5);
    expect(withComfort(new Leveller(), said, -75).at(-1)).toBeGreaterThan(13);
    expect([loud.isAudible, quiet.isAudible]).toEqual([true, false]);
  });

  it('stays where it is in silence', () => {
    const { gains } = levelled(joined(speech(-38, 8000, 8), new Int16Array(8000 * 10)));
    // The hangover of speech is 0.2 s.
    expect(gains.at(-1)).toBe(gains[8 * 50 + 15]);
    expect(gains.at(-1)).toBeGreaterThan(8);
  });

  it.each([0.0005, 0.003, 0.02])('never turns up noise of %d times full scale', (rms) => {
    const { gains } = levelled(noise(rms, 8000 * 20));
    expect(Math.max(...gains)).toBe(0);
  });

  it('does not turn up a quiet talker so far that the noise behind is heard', () => {
    const talk = speech(-44, 8000, 16);
    const hiss = noise(10 ** (-60 / 20), talk.length);
    const { gains } = levelled(talk.map((sample, i) => sample + hiss[i]!));
    expect(gains.at(-1)! - 60).toBeLessThan(-53);
    expect(gains.at(-1)!).toBeGreaterThan(2);
  });

  it('leaves a steady tone as it is', () => {
    for (const amplitude of [300, 8000, 30_000]) {
      const { gains } = levelled(joined(new Int16Array(4000), sine(400, 8000, 80_000, 0, amplitude)));
      expect(new Set(gains)).toEqual(new Set([0]));
    }
  });

  it('does not pump music: its gain settles, and its beat stays', () => {
    const played = music(-16, 8000, 30);
    const { heard, gains } = levelled(played);
    const settled = gains.slice(-50 * 10);
    expect(Math.max(...settled) - Math.min(...settled)).toBeLessThan(1);
    const dynamics = (pcm: Int16Array): number => {
      const levels = Array.from({ length: 100 }, (_, i) =>
        levelDb(pcm, pcm.length - 800 * (i + 1), pcm.length - 800 * i),
      );
      return Math.max(...levels) - Math.min(...levels);
    };
    expect(Math.abs(dynamics(heard) - dynamics(played))).toBeLessThan(1);
  });

  it('keeps both tones of DTMF in their proportion, as detectors need it', () => {
    const tones = new DtmfTones();
    const keys = new Int16Array(8000 * 8);
    for (let at = 0; at + 1600 <= keys.length; at += 1600) {
      tones.begin();
      tones.write((at / 1600) % 10, 8000, keys, at, 800);
    }
    const { heard } = levelled(keys);
    for (let at = 0; at + 1600 <= keys.length; at += 1600) {
      const pair = (pcm: Int16Array): number[] =>
        [697, 770, 852, 941, 1209, 1336, 1477].map((hertz) =>
          toneLevel(pcm.subarray(at, at + 800), 8000, hertz),
        );
      const [before, after] = [pair(keys), pair(heard)];
      const strongest = (levels: number[]): string =>
        [levels.slice(0, 4), levels.slice(4)].map((group) => group.indexOf(Math.max(...group))).join();
      expect(strongest(after)).toBe(strongest(before));
      // Q.24: tones of -25 dBm0 and above are detected, and a twist of 4 dB at most.
      expect(20 * Math.log10(Math.max(...after.slice(0, 4)))).toBeGreaterThan(-28);
      const twist = (levels: number[]): number =>
        Math.max(...levels.slice(0, 4)) / Math.max(...levels.slice(4));
      expect(Math.abs(20 * Math.log10(twist(after) / twist(before)))).toBeLessThan(0.5);
    }
  });

  it('measures once in a frame, whichever rate asks first', () => {
    const leveller = new Leveller();
    const pcm = speech(-40, 8000, 10);
    for (let at = 0; at + FRAME <= pcm.length; at += FRAME) {
      leveller.take(at / FRAME, pcm.subarray(at, at + FRAME), 8000);
      leveller.take(at / FRAME, new Int16Array(320).fill(30_000), 16_000);
    }
    expect(Math.abs(leveller.speech.levelDb! + 40)).toBeLessThan(2);
  });
});
