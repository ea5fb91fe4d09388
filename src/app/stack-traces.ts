import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the lines of a bundle come from, as scripts/source-lines.mjs writes it. */
interface SourceLines {
  readonly sources: readonly string[];
  /** Four numbers each: line and column of the bundle, index of the source, its line. */
  readonly starts: readonly number[];
}

const NUMBERS = 4;

const FILE = 'file://';
/** Line and column at the end of `at start (file:///srv/dist/chunks/run-ABC.js:120:7)`. */
const LINE_AND_COLUMN = /:(\d+):(\d+)(\)?)$/;

/** By the URL of the bundle; undefined for what is none. */
const known = new Map<string, SourceLines | undefined>();

/**
 * Makes stack traces name the lines of the sources. Node does the same by `--enable-source-maps`, but reads all maps at
 * the start, which takes 0.3 s. Here they are read, in a smaller form, when the first stack trace is.
 */
export function nameSourcesInStackTraces(): void {
  Error.prepareStackTrace = (error, sites) =>
    [titleOf(error), ...sites.map((site) => `    at ${named(String(site as unknown))}`)].join('\n');
}

/** As V8 writes it: an error may throw while it is turned into text. */
function titleOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return '<error>';
  }
}

/** A line of a stack trace with the place in the sources, if that is known. */
export function named(site: string): string {
  const from = site.lastIndexOf(FILE);
  const [end, line, column, bracket] = LINE_AND_COLUMN.exec(site) ?? [];
  if (from < 0 || end === undefined) return site;
  const lines = linesOf(site.slice(from, -end.length));
  const source = lines && sourceAt(lines, Number(line), Number(column) - 1);
  return source === undefined ? site : `${site.slice(0, from)}${source}${bracket!}`;
}

function linesOf(url: string): SourceLines | undefined {
  if (!known.has(url)) known.set(url, read(url));
  return known.get(url);
}

function read(url: string): SourceLines | undefined {
  try {
    return JSON.parse(readFileSync(`${fileURLToPath(url)}.lines.json`, 'utf8')) as SourceLines;
  } catch {
    // A package that is not bundled, or a file that somebody has removed: the place in the bundle must do.
    return undefined;
  }
}

/** The last start at or before the place decides. */
function sourceAt({ sources, starts }: SourceLines, line: number, column: number): string | undefined {
  let [low, high] = [0, starts.length / NUMBERS];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [startLine, startColumn] = [starts[middle * NUMBERS]!, starts[middle * NUMBERS + 1]!];
    if (startLine < line || (startLine === line && startColumn <= column)) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const [startLine, , source, sourceLine] = starts.slice((low - 1) * NUMBERS, low * NUMBERS);
  return `${sources[source!]!}:${sourceLine! + line - startLine!}`;
}
