// Makes of a source map the little that a stack trace needs, which is read in a few ms while calls are up.
import { relative, resolve } from 'node:path';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The numbers of one mapping: variable-length quantities in base 64 (ECMA-426 section 6). */
function* numbersIn(mapping) {
  let value = 0;
  let shift = 0;
  for (const digit of mapping) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    yield value & 1 ? -(value >>> 1) : value >>> 1;
    value = 0;
    shift = 0;
  }
}

/**
 * @param map the text of a source map
 * @param folder where it lies
 * @returns the sources, from the working folder; and `starts`, four numbers each: from this line and column of the
 *   bundle on comes this source, at this line. Lines count from 1, columns from 0. The lines that follow come from the
 *   lines that follow, until the next start
 */
export function linesOf(map, folder) {
  const { sources, mappings } = JSON.parse(map);
  const starts = [];
  let [source, sourceLine] = [0, 1];
  let last = { line: 0, source: -1, sourceLine: 0 };
  for (const [index, text] of mappings.split(';').entries()) {
    const line = index + 1;
    let column = 0;
    for (const mapping of text.split(',').filter(Boolean)) {
      const [columns, sourceStep = 0, lineStep = 0] = numbersIn(mapping);
      column += columns;
      source += sourceStep;
      sourceLine += lineStep;
      if (source === last.source && sourceLine - last.sourceLine === line - last.line) continue;
      last = { line, source, sourceLine };
      starts.push(line, column, source, sourceLine);
    }
  }
  return { sources: sources.map((path) => relative('', resolve(folder, path))), starts };
}
