import { distance } from 'fastest-levenshtein';

/**
 * The known name that a mistyped one was probably meant to be.
 * @param mistakes letters that may be wrong, missing or too many; case does not count
 */
export function nearestName(name: string, known: readonly string[], mistakes: number): string | undefined {
  const lower = name.toLowerCase();
  let nearest: string | undefined;
  let fewest = mistakes + 1;
  for (const candidate of known) {
    // Saves the work where a long text cannot be near.
    if (Math.abs(candidate.length - name.length) > mistakes) continue;
    const count = distance(lower, candidate.toLowerCase());
    if (count >= fewest) continue;
    nearest = candidate;
    fewest = count;
  }
  return nearest;
}
