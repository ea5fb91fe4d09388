import { bestLag } from '../codecs/index.js';

/** Shortest piece worth cutting out, in ms: one period of the highest voice. */
const MIN_CUT_MS = 2.5;
const MAX_CUT_MS = 10;

/**
 * Takes one pitch period out of the end of `pcm[start, end)`, cross-fading over the seam, so that buffered speech
 * becomes shorter without a click.
 * @returns samples removed, 0 when there is too little to find a period in
 */
export function shorten(pcm: Int16Array, start: number, end: number, sampleRate: number): number {
  const maxLag = (sampleRate / 1000) * MAX_CUT_MS;
  if (end - start < 2 * maxLag) return 0;
  const lag = bestLag(pcm, Math.round((sampleRate / 1000) * MIN_CUT_MS), maxLag, end);
  const first = end - 2 * lag;
  for (let i = 0; i < lag; i += 1) {
    const share = (i + 1) / (lag + 1);
    pcm[first + i] = Math.round(pcm[first + i]! * (1 - share) + pcm[first + lag + i]! * share);
  }
  return lag;
}
