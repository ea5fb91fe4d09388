import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { named } from './stack-traces.js';

const SOURCE = `interface Unused { readonly all: string }

export function fail(
  what: string,
): never {
  const list = [what].map((text) => text.trim())
    .map((text) => {
      throw new Error(text);
    });
  throw new Error(list.join());
}

export const failLater = (what: Unused): never => fail(what.all);
`;

let folder: string;
let bundle: { fail: (what: string) => never; failLater: (what: { all: string }) => never };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-stack-'));
  writeFileSync(join(folder, 'source.ts'), SOURCE);
  const entryPoints = [join(folder, 'source.ts')];
  const { outputFiles } = await build({
    entryPoints,
    outfile: join(folder, 'out.js'),
    ...{ bundle: true, format: 'esm', minifyWhitespace: true, sourcemap: 'external', write: false },
  });
  const text = (end: string): string => outputFiles.find(({ path }) => path.endsWith(end))!.text;
  writeFileSync(join(folder, 'out.js'), text('.js'));
  const script = pathToFileURL('scripts/source-lines.mjs').href;
  const { linesOf } = (await import(script)) as { linesOf: (map: string, folder: string) => object };
  writeFileSync(join(folder, 'out.js.lines.json'), JSON.stringify(linesOf(text('.map'), folder)));
  bundle = (await import(pathToFileURL(join(folder, 'out.js')).href)) as typeof bundle;
});

afterAll(() => rmSync(folder, { recursive: true }));

function stackOf(act: () => never): string[] {
  try {
    return act();
  } catch (error) {
    // Vitest writes paths where Node writes URLs.
    return (error as Error).stack!.replaceAll(/(?:file:\/\/)?(\/[^()\s]*out\.js)/g, 'file://$1').split('\n');
  }
}

describe('a line of a stack trace', () => {
  it('names the source and its line, in the middle of a line of the bundle too', () => {
    const [title, ...sites] = stackOf(() => bundle.failLater({ all: 'gone' }));
    expect(title).toBe('Error: gone');
    const places = sites.slice(0, 4).map((site) =>
      named(site)
        .replace(/^.*[/(]/, '')
        .replace(/\)$/, ''),
    );
    expect(places).toEqual(['source.ts:8', '<anonymous>', 'source.ts:7', 'source.ts:13']);
    expect(named(sites[0]!)).toMatch(/^ {4}at .*source\.ts:8\)?$/);
  });

  it('stays as it is where nothing is known of the file', () => {
    for (const site of ['    at fail (file:///nowhere/out.js:1:20)', '    at node:internal/main:3:1', '']) {
      expect(named(site)).toBe(site);
    }
  });
});
