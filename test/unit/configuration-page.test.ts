import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/core/index.js';
import { configurationPage, described, whatIsSaid } from '../support/configuration-page.js';

/** Taken only together with another variable. */
const NEEDS_ANOTHER = /^PATCHBAY_(?:SIP_TLS_(?:CERT|KEY)|TURN_(?:URLS|SECRET))$/;

describe('docs/configuration.md', () => {
  it('is made from the list of variables (npm run docs)', async () => {
    await expect(await configurationPage()).toMatchFileSnapshot('../../docs/configuration.md');
  });

  it.each(described.filter(([name]) => !NEEDS_ANOTHER.test(name)))(
    'has an example for %s that is taken',
    (name, { example }) => expect(whatIsSaid(name, example)).toBeUndefined(),
  );

  it.each(described.filter(([, { wrong }]) => wrong !== undefined))(
    'has a mistake for %s that is refused',
    (name, { wrong }) => expect(whatIsSaid(name, wrong!)).toMatch(/\w/),
  );

  it('has every variable that the other documents and files name', () => {
    const known = new Set(described.map(([name]) => name));
    const files = [
      'README.md',
      'SECURITY.md',
      'docker-compose.yml',
      'docker-compose.cluster.yml',
      ...[
        'applications',
        'benchmarks',
        'phones',
        'browsers',
        'production',
        'operations',
        'postgresql',
        'scaling',
        'debugging',
      ].map((page) => `docs/${page}.md`),
    ];
    const named = files.flatMap(
      (file) => readFileSync(file, 'utf8').match(/PATCHBAY_[A-Z][A-Z_]*[A-Z]/g) ?? [],
    );
    const errors: readonly string[] = ERROR_CODES;
    const isOther = /^PATCHBAY_(?:TEST_\w+|SECRET)$/;
    expect(named.filter((name) => !known.has(name) && !errors.includes(name) && !isOther.test(name))).toEqual(
      [],
    );
  });
});
