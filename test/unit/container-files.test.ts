import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VARIABLES } from '../../src/app/config.js';

const textOf = (file: string): string => readFileSync(file, 'utf8');

it('docker-compose.yml takes every variable of the gateway from .env, but for its volume and its servers', () => {
  const [, gateway = ''] = /^ {2}patchbay:\n([^]*?)\n\n/m.exec(textOf('docker-compose.yml')) ?? [];
  expect(gateway).toContain('env_file: .env');
  const set = [...gateway.matchAll(/^ {6}(PATCHBAY_\w+): (.*)$/gm)].map(([, name, value]) => [name!, value!]);
  const fixed = set.filter(([name, value]) => !value!.startsWith(`\${${name!}:-`)).map(([name]) => name!);
  expect(fixed).toEqual(['PATCHBAY_DATA_DIR', 'PATCHBAY_DRACHTIO', 'PATCHBAY_FREESWITCH']);
  expect(Object.keys(VARIABLES)).toEqual(expect.arrayContaining(set.map(([name]) => name)));
});

it('the image has all that the Dockerfile copies, the license included', () => {
  const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files]) =>
    files!.split(' '),
  );
  expect(copied).toContain('LICENSE');
  const kept = textOf('.dockerignore').split('\n');
  for (const file of copied) expect(kept).toContain(`!${file}`);
});
