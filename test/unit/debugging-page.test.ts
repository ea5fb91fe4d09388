import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/debugging.md', 'utf8');
const [, table = ''] = /^## What the lines mean\n([^]*?)^## /m.exec(page) ?? [];
const lines = [...table.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell]) =>
  [...cell!.matchAll(/`([^`]+)`/g)].map(([, line]) => line!),
);

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => readFileSync(join('src', file), 'utf8'));
const isLogged = (line: string): boolean => sources.some((text) => text.includes(`'${line}'`));

describe('docs/debugging.md', () => {
  it.each(lines)('explains the line "%s", which the gateway writes', (line) => {
    expect(isLogged(line)).toBe(true);
  });

  it('explains the important ones', () => {
    expect(lines.length).toBeGreaterThan(25);
    expect(lines).toEqual(expect.arrayContaining(['Call answered.', 'Request refused.', 'Call failed.']));
    expect(isLogged('No line of the gateway.')).toBe(false);
  });
});
