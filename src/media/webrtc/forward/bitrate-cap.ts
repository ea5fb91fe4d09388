/** A picture that is worth sending needs about this (bits per second). */
const MIN_CAP = 100_000;

/**
 * The bit rate to ask of a publisher, from what its subscribers can take: at least half of them take it whole, so
 * that no single bad network brings the picture down for the others.
 * @param shares for each subscriber the part of the present rate that it takes; Infinity: more than all
 * @param rate present bits per second
 * @returns Infinity for no cap
 */
export function bitrateCap(shares: readonly number[], rate: number): number {
  if (shares.length === 0) return Infinity;
  const descending = [...shares].sort((a, b) => b - a);
  const share = descending[Math.floor((descending.length - 1) / 2)]!;
  return share === Infinity ? Infinity : Math.max(MIN_CAP, share * rate);
}
