import type { SampleRate } from '../../codecs/index.js';

/** Numbers in [0, 1) that are the same in every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** White noise of an RMS relative to full scale. */
export function noise(rms: number, samples: number, seed = 1): Int16Array {
  const random = seeded(seed);
  const amplitude = rms * 32768 * Math.sqrt(3);
  return Int16Array.from({ length: samples }, () => Math.round(amplitude * (2 * random() - 1)));
}

/**
 * What speech has for a level meter: a voice with harmonics, syllables of 120 to 280 ms with dips between them, and phrases
 * of about 2 s with pauses of 0.4 to 1 s.
 * @param activeDb level while it speaks, in dBov
 */
export function speech(activeDb: number, rate: SampleRate, seconds: number, seed = 1): Int16Array {
  const random = seeded(seed);
  const samples = new Float64Array(rate * seconds);
  const pitch = 100 + 120 * random();
  let phraseEnd = 0;
  let energy = 0;
  let spoken = 0;
  for (let at = Math.round(0.1 * rate); at < samples.length;) {
    if (at >= phraseEnd) {
      if (phraseEnd > 0) at += Math.round((0.4 + 0.6 * random()) * rate);
      phraseEnd = at + Math.round((1.5 + random()) * rate);
    }
    const length = Math.round((0.12 + 0.16 * random()) * rate);
    const strength = 0.5 + random();
    const bend = 0.9 + 0.2 * random();
    for (let i = 0; i < length && at + i < samples.length; i += 1) {
      const envelope = strength * (0.08 + Math.sin((Math.PI * i) / length) ** 2);
      const phase = (2 * Math.PI * pitch * bend * i) / rate;
      let voice = 0;
      for (let harmonic = 1; harmonic <= 12; harmonic += 1)
        voice += Math.sin(harmonic * phase + harmonic ** 2) / harmonic;
      const sample = envelope * voice;
      samples[at + i] = sample;
      energy += sample * sample;
      spoken += 1;
    }
    at += length;
  }
  const scale = (32768 * 10 ** (activeDb / 20)) / Math.sqrt(energy / spoken);
  return Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * scale))));
}

/** A voice that sings on without a pause, up and down; what it says after `seconds` goes on where it began. */
export function voice(rate: SampleRate, seconds: number, hertz = 130, amplitude = 4000): Int16Array {
  return Int16Array.from({ length: rate * seconds }, (_, i) => {
    const at = i / rate;
    const turn = 2 * Math.PI * (at / seconds);
    const phase =
      2 * Math.PI * Math.round(hertz * seconds) * (at / seconds) + 2 * seconds * Math.sin(5 * turn);
    let sum = 0;
    for (let harmonic = 1; harmonic < 6; harmonic += 1)
      sum += Math.sin(harmonic * phase + harmonic ** 2) / harmonic;
    return Math.round(amplitude * sum * (1 + 0.3 * Math.sin(Math.round(3 * seconds) * turn)));
  });
}

/** The sharpest bend of a signal, which a click is: the largest second difference of its samples. */
export function sharpestBend(pcm: ArrayLike<number>, from = 0, to = pcm.length): number {
  let sharpest = 0;
  for (let i = from + 2; i < to; i += 1)
    sharpest = Math.max(sharpest, Math.abs(pcm[i]! - 2 * pcm[i - 1]! + pcm[i - 2]!));
  return sharpest;
}

/** Chords with a beat, as music on hold has: its level never stays, and never stops. */
export function music(activeDb: number, rate: SampleRate, seconds: number): Int16Array {
  const scale = 32768 * 10 ** (activeDb / 20);
  const chords = [
    [262, 330, 392],
    [220, 262, 330],
    [175, 220, 262],
    [196, 247, 294],
  ];
  return Int16Array.from({ length: rate * seconds }, (_, i) => {
    const seconds = i / rate;
    const chord = chords[Math.floor(seconds / 2) % chords.length]!;
    const beat = 0.4 + 1.2 * Math.exp(-6 * (seconds % 0.5));
    const tones = chord.reduce((sum, hertz) => sum + Math.sin(2 * Math.PI * hertz * seconds), 0);
    return Math.round(scale * 0.8 * beat * tones);
  });
}

/** Signals one after the other. */
export function joined(...signals: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(signals.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const signal of signals) {
    all.set(signal, at);
    at += signal.length;
  }
  return all;
}

/** Level in dBov of some samples: 0 for a full-scale square wave. */
export function levelDb(pcm: ArrayLike<number>, from = 0, to = pcm.length): number {
  let squares = 0;
  for (let i = from; i < to; i += 1) squares += pcm[i]! ** 2;
  return 10 * Math.log10(squares / (to - from) / 2 ** 30);
}

/** The active speech level by ITU-T P.56 method B over a whole signal, sample by sample as the recommendation has it. */
export function p56(pcm: Int16Array, rate: number): number {
  const keep = Math.exp(-1 / (rate * 0.03));
  const hangover = Math.ceil(0.2 * rate);
  const thresholds = Array.from({ length: 15 }, (_, j) => 2 ** (j - 15));
  const active = thresholds.map(() => 0);
  const since = thresholds.map(() => hangover);
  let [p, q, squares] = [0, 0, 0];
  for (const sample of pcm) {
    const x = sample / 32768;
    squares += x * x;
    p = keep * p + (1 - keep) * Math.abs(x);
    q = keep * q + (1 - keep) * p;
    thresholds.forEach((threshold, j) => {
      since[j] = q >= threshold ? 0 : since[j]! + 1;
      if (since[j] < hangover) active[j]! += 1;
    });
  }
  let [level, margin] = [0, 0];
  for (let j = 0; j < thresholds.length; j += 1) {
    if (active[j] === 0) break;
    const next = 10 * Math.log10(squares / active[j]!);
    const nextMargin = next - 20 * Math.log10(thresholds[j]!);
    if (nextMargin <= 15.9)
      return j === 0 ? next : level + ((next - level) * (margin - 15.9)) / (margin - nextMargin);
    [level, margin] = [next, nextMargin];
  }
  return level;
}

const BANDS = 32;

/**
 * Log-spectral distance of two signals in each 20 ms, in dB: the root mean square over bands of equal width of what their
 * levels are apart. Bands under -70 dBov count as that.
 */
export function spectralDistances(one: Int16Array, other: Int16Array, rate: number): number[] {
  const length = rate / 50;
  const window = Float64Array.from(
    { length },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length),
  );
  // Bins of 50 Hz; what is above 3.4 kHz is in no telephone's band.
  const bins = Array.from({ length: 2 * BANDS }, (_, bin) => bin + 4);
  const cos = bins.map((bin) =>
    Float64Array.from({ length }, (_, i) => Math.cos((2 * Math.PI * bin * i) / length)),
  );
  const sin = bins.map((bin) =>
    Float64Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * bin * i) / length)),
  );
  const bandsOf = (pcm: Int16Array, at: number): number[] => {
    const powers = bins.map((_, b) => {
      let [re, im] = [0, 0];
      for (let i = 0; i < length; i += 1) {
        const sample = pcm[at + i]! * window[i]!;
        re += sample * cos[b]![i]!;
        im += sample * sin[b]![i]!;
      }
      return (re * re + im * im) / length ** 2 / 2 ** 30;
    });
    return Array.from(
      { length: BANDS },
      (_, band) => 10 * Math.log10(powers[2 * band]! + powers[2 * band + 1]! + 1e-7),
    );
  };
  const frames = Math.floor(Math.min(one.length, other.length) / length);
  return Array.from({ length: frames }, (_, frame) => {
    const [a, b] = [bandsOf(one, frame * length), bandsOf(other, frame * length)];
    return Math.sqrt(a.reduce((sum, level, band) => sum + (level - b[band]!) ** 2, 0) / BANDS);
  });
}
