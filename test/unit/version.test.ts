import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VERSION } from '../../src/app/version.js';

it('the version of package.json is the one that runs, that the changelog describes and that compose starts', () => {
  const textOf = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  expect((JSON.parse(textOf('package.json')) as { version: string }).version).toBe(VERSION);
  expect(textOf('CHANGELOG.md')).toContain(`## [${VERSION}]`);
  expect(textOf('docker-compose.yml')).toContain(`image: patchbay:${VERSION}\n`);
});
