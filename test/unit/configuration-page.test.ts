import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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
      ...[
        'applications',
        'benchmarks',
        'phones',
        'browsers',
        'production',
        'operations',
        'postgresql',
        'debugging',
      ].map((page) => `docs/${page}.md`),
    ];
    const named = files.flatMap(
      (file) => readFileSync(file, 'utf8').match(/PATCHBAY_[A-Z][A-Z_]*[A-Z]/g) ?? [],
    );
    const isError =
      /^PATCHBAY_(?:TEST_\w+|SECRET|[A-Z_]*(?:NOT_\w+|DISAGREE|INVALID|EXPIRED|OVERLOADED|TOO_MANY_\w+|NO_COMMON_\w+|STORE_\w+|BAD_\w+|SHUTTING_DOWN|DEVICE_CANNOT|NOISE_SUPPRESSION_FULL|ALREADY_CONNECTED|IN_OTHER_SESSION|UNAUTHORIZED))$/;
    expect(named.filter((name) => !known.has(name) && !isError.test(name))).toEqual([]);
  });
});
