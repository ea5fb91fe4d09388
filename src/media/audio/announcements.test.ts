import { describe, expect, it } from 'vitest';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { SampleStage } from '../program/testing/sample-stage.js';
import { Listener } from './testing/linear.js';

/** Two who talk, an announcement, and one who hears all three. */
function conversation() {
  const stage = new SampleStage();
  const [one, two, announcer] = ['one', 'two', 'announcer'].map((name) => stage.program(name)) as [
    ReturnType<SampleStage['program']>,
    ReturnType<SampleStage['program']>,
    ReturnType<SampleStage['program']>,
  ];
  announcer.track.isAnnouncement = true;
  const ear = new Listener(stage.mixing.groups, 8000);
  const hear = (levelling = false) => ear.mix.setTracks([one.track, two.track, announcer.track], levelling);
  hear();
  const heard: Int16Array[] = [];
  const run = (frames: number): Int16Array => {
    const before = heard.length;
    stage.run(frames, (frame) => heard.push(ear.hear(frame)));
    return Int16Array.from(heard.slice(before).flatMap((pcm) => [...pcm]));
  };
  return { stage, one, two, announcer, hear, run };
}

const db = (pcm: Int16Array, hertz: number): number =>
  20 * Math.log10((toneLevel(pcm, 8000, hertz) * 32_768) / 4000);

describe('an announcement in a mix', () => {
  it('is heard as it is, from its first sample, with all else 12 dB lower until its end', () => {
    const { one, two, announcer, run } = conversation();
    one.play(sine(500, 8000, 40_000, 0, 4000));
    two.play(sine(900, 8000, 40_000, 0, 4000));
    const before = run(25);
    expect(db(before.subarray(800), 500)).toBeCloseTo(0, 1);
    // Half of it is a pause, longer than that of a stream that is left out of mixes.
    announcer.play(Int16Array.from([...sine(1700, 8000, 8000, 0, 4000), ...new Int16Array(8000)]));
    const during = run(50);
    const first = during.subarray(320, 8000);
    for (const hertz of [500, 900]) expect(db(first, hertz)).toBeCloseTo(-12, 0);
    expect(db(first, 1700)).toBeCloseTo(0, 1);
    const pause = run(50);
    for (const hertz of [500, 900]) expect(db(pause.subarray(480), hertz)).toBeCloseTo(-12, 0);
    const after = run(40);
    for (const hertz of [500, 900]) expect(db(after.subarray(480), hertz)).toBeCloseTo(0, 1);
    // Nothing jumps: the steepest step is that of the three tones together.
    const all = [...before.subarray(800), ...during, ...pause, ...after];
    const steps = all.map((sample, i) => Math.abs(sample - (all[i - 1] ?? sample)));
    const steepest = [500, 900, 1700].reduce(
      (sum, hertz) => sum + 4000 * 2 * Math.sin((Math.PI * hertz) / 8000),
      0,
    );
    expect(Math.max(...steps)).toBeLessThan(steepest);
  });

  it('goes on lowering all else when others begin and cease to talk meanwhile', () => {
    const { one, two, announcer, run } = conversation();
    one.play(sine(500, 8000, 40_000, 0, 4000));
    announcer.play(sine(1700, 8000, 40_000, 0, 4000));
    run(25);
    two.play(sine(900, 8000, 4000, 0, 4000));
    const together = run(25);
    const beginning = together.subarray(320, 640);
    expect(db(beginning, 900)).toBeLessThan(-11);
    expect(db(beginning, 500)).toBeLessThan(-11);
    expect(db(run(50).subarray(0, 8000), 500)).toBeCloseTo(-12, 0);
  });

  it('is not brought to the level of speech where that is evened', () => {
    const { announcer, hear, run } = conversation();
    hear(true);
    announcer.play(sine(1700, 8000, 80_000, 0, 400));
    expect(db(run(400).subarray(56_000), 1700)).toBeCloseTo(-20, 1);
  });
});
