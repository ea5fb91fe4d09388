import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve('src');

/** The folders of the house, and which of them each may import. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  core: ['shared'],
  media: ['shared'],
  'sip-server': ['shared'],
  usage: ['core', 'shared'],
  store: ['cluster', 'usage', 'core', 'shared'],
  calls: ['usage', 'core', 'shared'],
  api: ['calls', 'usage', 'core', 'shared'],
  announcements: ['core', 'media', 'shared'],
  events: ['core', 'shared'],
  cluster: ['core', 'shared'],
  devices: ['core', 'media', 'shared'],
  'devices/program': ['devices', 'core', 'media', 'shared'],
  'devices/browser': ['devices', 'core', 'media', 'shared'],
  'devices/phone': ['devices', 'core', 'media', 'shared'],
  trial: ['sip-server', 'core', 'media', 'shared'],
  console: ['core', 'shared'],
  app: [
    'announcements',
    'events',
    'api',
    'calls',
    'cluster',
    'console',
    'trial',
    'sip-server',
    'devices',
    'devices/browser',
    'devices/phone',
    'devices/program',
    'store',
    'usage',
    'core',
    'media',
    'shared',
  ],
  '.': ['app'],
};

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && statSync(join(SRC, file)).isFile())
  .map((file) => join(SRC, file));

/** Tests and their helpers are not part of the build: they may reach for whatever they test with. */
const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.includes(`${sep}testing${sep}`);
const production = sources.filter((file) => !isTest(file));

/** The folder of the house that a file is in; `.` for main.ts. */
function folderOf(file: string): string {
  const [first, second, ...rest] = relative(SRC, file).split(sep);
  if (second === undefined) return '.';
  return first === 'devices' && rest.length > 0 ? `${first}/${second}` : first!;
}

function importsOf(file: string, what: 'all' | 'values' = 'all'): string[] {
  const whole = readFileSync(file, 'utf8');
  const text = what === 'all' ? whole : whole.replace(/^(?:import|export) type [^;]*;/gm, '');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) =>
    resolve(dirname(file), match[1]!.replace(/\.js$/, '.ts')),
  );
}

const named = (from: string, to: string): string => `${relative(SRC, from)} -> ${relative(SRC, to)}`;

/** Every import of one production file by another. */
const edges = production.flatMap((from) => importsOf(from).map((to) => ({ from, to })));

/** The folders between a file and the one that both it and the importer are in, outermost first. */
function foldersEntered(from: string, to: string): string[] {
  const entered = [];
  for (let folder = dirname(to); !`${dirname(from)}${sep}`.startsWith(folder + sep); folder = dirname(folder))
    entered.unshift(folder);
  return entered;
}

/** Whether an import passes by the index of a folder that has one. */
const passesIndex = ({ from, to }: { from: string; to: string }): boolean =>
  foldersEntered(from, to).some((folder) => {
    const index = join(folder, 'index.ts');
    return existsSync(index) && to !== index;
  });

/** The groups of nodes each of which can be reached from every other (Tarjan). */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const visit = (node: string): number => {
    const index = order.size;
    order.set(node, index);
    lowest.set(node, index);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      const low = order.has(next) ? (stack.includes(next) ? order.get(next)! : index) : visit(next);
      lowest.set(node, Math.min(lowest.get(node)!, low));
    }
    if (lowest.get(node) === index) {
      const group = stack.splice(stack.indexOf(node)).reverse();
      if (group.length > 1) found.push(group);
    }
    return lowest.get(node)!;
  };
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return found;
}

/** The sub-folders of sip-server, and which others each imports from. */
function sipServerFolders(): Map<string, string[]> {
  const root = join(SRC, 'sip-server');
  const graph = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const [importer, imported] = [from, to].map((file) => relative(root, file).split(sep));
    if (importer![0] === '..' || imported![0] === '..') continue;
    if (importer!.length < 2 || imported!.length < 2 || importer![0] === imported![0]) continue;
    graph.set(importer![0]!, [...(graph.get(importer![0]!) ?? []), imported![0]!]);
  }
  return graph;
}

describe('imports', () => {
  it('know every folder of src', () => {
    const folders = new Set(sources.map(folderOf));
    expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  it('follow the arrows of the design', () => {
    const wrong = edges.filter(({ from, to }) => {
      const [importer, imported] = [folderOf(from), folderOf(to)];
      return imported !== importer && !MAY_IMPORT[importer]!.includes(imported);
    });
    expect(wrong.map(({ from, to }) => named(from, to))).toEqual([]);
  });

  it('enter a folder by its index', () => {
    expect(edges.filter(passesIndex).map(({ from, to }) => named(from, to))).toEqual([]);
  });

  it('have an index in every folder of the house', () => {
    // Each kind of device is entered by an index of its own.
    const folders = Object.keys(MAY_IMPORT).filter((folder) => !['.', 'app', 'devices'].includes(folder));
    expect(folders.filter((folder) => !existsSync(join(SRC, folder, 'index.ts')))).toEqual([]);
  });

  it('make no circle: of files, what is imported as a type alone aside; of folders, at all', () => {
    const values = production.map((from) => [from, importsOf(from, 'values')] as const);
    expect(circles(new Map(values)).map((files) => files.map((file) => relative(SRC, file)))).toEqual([]);
    const folders = new Map(Object.keys(MAY_IMPORT).map((folder) => [folder, [] as string[]]));
    for (const { from, to } of edges)
      if (folderOf(from) !== folderOf(to)) folders.get(folderOf(from))!.push(folderOf(to));
    expect(circles(folders)).toEqual([]);
  });

  it('make no circle of the sub-folders of sip-server, what is imported as a type included', () => {
    const graph = sipServerFolders();
    expect(circles(graph)).toEqual([]);
    expect(graph.get('user-agent')).toContain('proxy');
  });

  it('are seen at all', () => {
    expect(
      circles(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual([['c', 'b']]);
    expect(importsOf(join(SRC, 'media/plane.ts'))).toContain(join(SRC, 'media/track.ts'));
    expect(passesIndex({ from: join(SRC, 'api/api.ts'), to: join(SRC, 'core/core.ts') })).toBe(true);
  });
});
