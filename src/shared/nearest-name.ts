import { distance } from 'fastest-levenshtein';

/**
 * The known name that is probably meant by a mistyped one.
 * @param mistakes most letters that may be wrong, missing or superfluous; case does not count
 */
export function nearestName(name: string, known: readonly string[], mistakes: number): string | undefined {
  const lower = name.toLowerCase();
  let nearest: string | undefined;
  let fewest = mistakes + 1;
  for (const candidate of known) {
    // Names with too different lengths need not be compared.
    if (Math.abs(candidate.length - name.length) > mistakes) continue;
    const count = distance(lower, candidate.toLowerCase());
    if (count >= fewest) continue;
    nearest = candidate;
    fewest = count;
  }
  return nearest;
}
