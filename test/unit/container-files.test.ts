import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VARIABLES } from '../../src/app/config.js';
import { isInstalled } from '../support/tls-proxy.js';

const COMPOSE = '/usr/bin/docker-compose';

const textOf = (file: string): string => readFileSync(file, 'utf8');

it('docker-compose.yml takes every variable of the gateway from .env, but for its volume and its servers', () => {
  const [, gateway = ''] = /^ {2}patchbay:\n([^]*?)\n\n/m.exec(textOf('docker-compose.yml')) ?? [];
  expect(gateway).toContain('env_file: .env');
  const set = [...gateway.matchAll(/^ {6}(PATCHBAY_\w+): (.*)$/gm)].map(([, name, value]) => [name!, value!]);
  const fixed = set.filter(([name, value]) => !value!.startsWith(`\${${name!}:-`)).map(([name]) => name!);
  expect(fixed).toEqual(['PATCHBAY_DATA_DIR', 'PATCHBAY_DRACHTIO', 'PATCHBAY_FREESWITCH']);
  expect(Object.keys(VARIABLES)).toEqual(expect.arrayContaining(set.map(([name]) => name)));
});

it.skipIf(!isInstalled(COMPOSE))(
  'docker-compose.yml is taken by docker-compose, with PATCHBAY_SECRET only',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-compose-'));
    cpSync('docker-compose.yml', join(folder, 'docker-compose.yml'));
    const config = (env: string) => {
      writeFileSync(join(folder, '.env'), env);
      // Its own variables must come from .env.
      const own = Object.entries(process.env).filter(
        ([name]) => !/^(PATCHBAY|HOST_IP|PUBLIC_IP|SIP_PORT)/.test(name),
      );
      return spawnSync(COMPOSE, ['config'], { cwd: folder, encoding: 'utf8', env: Object.fromEntries(own) });
    };
    try {
      expect(config('HOST_IP=192.0.2.10\n').stderr).toContain('put PATCHBAY_SECRET into .env');
      const { status, stdout, stderr } = config(
        'PATCHBAY_SECRET=s3cret\nHOST_IP=192.0.2.10\nPATCHBAY_MAX_CALLS=7\n',
      );
      expect(status, stderr).toBe(0);
      expect(stdout).toContain('PATCHBAY_FREESWITCH: 192.0.2.10:8021:s3cret');
      expect(stdout).toMatch(/PATCHBAY_MAX_CALLS: '?7/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

it('the image has all that the Dockerfile copies, the license included', () => {
  const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files]) =>
    files!.split(' '),
  );
  expect(copied).toContain('LICENSE');
  const kept = textOf('.dockerignore').split('\n');
  for (const file of copied) expect(kept).toContain(`!${file}`);
});
