import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve('src');

/** The folders of the house, and which of them each may import. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  core: [],
  media: ['shared'],
  'sip-server': ['shared'],
  load: [],
  store: ['core', 'usage'],
  usage: ['core', 'shared'],
  api: ['core', 'usage', 'shared'],
  browser: ['core', 'media', 'shared'],
  phone: ['core', 'media', 'shared'],
  freeswitch: ['core', 'media', 'phone'],
  console: [],
};

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && statSync(join(SRC, file)).isFile())
  .map((file) => join(SRC, file));

/** Tests and their helpers are not part of the build: they may reach for whatever they test with. */
const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.includes(`${sep}testing${sep}`);

const folderOf = (file: string): string | undefined => {
  const [folder, ...rest] = relative(SRC, file).split(sep);
  return rest.length > 0 ? folder : undefined;
};

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) =>
    resolve(dirname(file), match[1]!.replace(/\.js$/, '.ts')),
  );
}

describe('imports', () => {
  it('knows every folder of src', () => {
    const folders = new Set(sources.map(folderOf).filter((folder) => folder !== undefined));
    expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  it('follow the arrows of the design', () => {
    const wrong = sources.flatMap((file) => {
      const from = folderOf(file);
      if (from === undefined || isTest(file)) return [];
      return importsOf(file)
        .filter((target) => {
          const to = folderOf(target);
          return to !== from && !(to !== undefined && MAY_IMPORT[from]?.includes(to));
        })
        .map((target) => `${relative(SRC, file)} -> ${relative(SRC, target)}`);
    });
    expect(wrong).toEqual([]);
  });

  it('sees imports at all', () => {
    expect(importsOf(join(SRC, 'media/plane.ts'))).toContain(join(SRC, 'media/stream-registry.ts'));
  });
});
