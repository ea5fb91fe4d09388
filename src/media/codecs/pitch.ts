/**
 * Finds the lag at which the end of `pcm` repeats itself best (normalised correlation over the longest lag).
 * @param pcm must be at least `2 * maxLag` long
 * @returns a lag in samples, `minLag` to `maxLag`
 */
export function bestLag(pcm: Int16Array, minLag: number, maxLag: number, end = pcm.length): number {
  const start = end - maxLag;
  // At 8 kHz every sample and lag counts; above, coarser steps find the same period for a fraction of the work.
  const step = Math.max(1, Math.floor(maxLag / 120));
  let best = maxLag;
  let bestScore = -1;
  for (let lag = minLag; lag <= maxLag; lag += step) {
    let product = 0;
    let energy = 1;
    for (let i = start; i < end; i += step) {
      const earlier = pcm[i - lag]!;
      product += pcm[i]! * earlier;
      energy += earlier * earlier;
    }
    const score = product <= 0 ? 0 : (product * product) / energy;
    if (score > bestScore) {
      bestScore = score;
      best = lag;
    }
  }
  return best;
}
