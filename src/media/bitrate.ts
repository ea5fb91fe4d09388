/** A useful picture needs about this many bits per second. */
const MIN_CAP = 100_000;

/** What the subscribers of one video can take, as far as one source of such wishes knows them. */
export interface BitrateWish {
  /** Bits per second of each; Infinity: more than it is sent. */
  readonly limits: readonly number[];
  /** They get only key frames, since their networks carry far less than the whole video. */
  readonly thinned: boolean;
}

/**
 * The wishes of several sources as one. Subscribers that get only key frames count when nobody gets more: a lower
 * rate could give them the video.
 */
export function combineWishes(wishes: Iterable<BitrateWish>): BitrateWish {
  const all = [...wishes].filter(({ limits }) => limits.length > 0);
  const full = all.filter(({ thinned }) => !thinned);
  const counted = full.length > 0 ? full : all;
  return { limits: counted.flatMap(({ limits }) => limits), thinned: full.length === 0 };
}

/**
 * The bit rate to ask of a publisher, the median of what its subscribers can take, so that
 * one bad network does not degrade the picture for everyone.
 * @param limits bits per second for each subscriber; Infinity: more than it is sent
 * @returns Infinity for no cap
 */
export function bitrateCap(limits: readonly number[]): number {
  if (limits.length === 0) return Infinity;
  const descending = [...limits].sort((a, b) => b - a);
  return Math.max(MIN_CAP, descending[Math.floor((descending.length - 1) / 2)]!);
}
