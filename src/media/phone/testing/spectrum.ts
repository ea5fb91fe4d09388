/** Strength of one frequency in samples, relative to full scale (Goertzel): a full-scale sine gives 1. */
export function toneLevel(pcm: Int16Array, sampleRate: number, hertz: number): number {
  const w = (2 * Math.PI * hertz) / sampleRate;
  const coefficient = 2 * Math.cos(w);
  let s1 = 0;
  let s2 = 0;
  for (const sample of pcm) {
    const s0 = sample / 32768 + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
  }
  const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
  return (2 * Math.sqrt(Math.max(0, power))) / pcm.length;
}

/** A sine, `start` samples into its life. */
export function sine(
  hertz: number,
  sampleRate: number,
  samples: number,
  start = 0,
  amplitude = 8000,
): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hertz * (start + i)) / sampleRate)),
  );
}
