import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VARIABLES } from '../../src/app/config.js';
import { codeBlock } from '../support/page-blocks.js';
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

describe('docker-compose.cluster.yml', () => {
  const text = textOf('docker-compose.cluster.yml');
  const valuesOf = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^ +${name}: '?([^'\\n]*)'?$`, 'gm'))].map(([, value]) => value!);

  it('sets variables of the gateway, and different ports for the two', () => {
    const names = [...text.matchAll(/^ +(PATCHBAY_\w+): /gm)].map(([, name]) => name!);
    expect(Object.keys(VARIABLES)).toEqual(expect.arrayContaining(names));
    const ports = ['HTTP', 'SIP', 'CLUSTER', 'WEBRTC'].flatMap((kind) => valuesOf(`PATCHBAY_${kind}_PORT`));
    expect(new Set(ports).size).toBe(8);
    const [[, last] = [], [first] = []] = valuesOf('PATCHBAY_RTP_PORTS').map((range) =>
      range.split('-').map(Number),
    );
    expect(last).toBeLessThan(first!);
  });

  it('has in front what docs/scaling.md says, with its own addresses', () => {
    const [http, sip] = [valuesOf('PATCHBAY_HTTP_PORT'), valuesOf('PATCHBAY_SIP_PORT')];
    const fileOf = (name: string): string => textOf(`operations/cluster/${name}`);
    expect(fileOf('haproxy.cfg')).toBe(
      codeBlock('docs/scaling.md', 'haproxy', 'backend gateways', {
        'bind :8000': 'bind :8080',
        '192.0.2.11:8080': `127.0.0.1:${http[0]}`,
        '192.0.2.12:8080': `127.0.0.1:${http[1]}`,
      }),
    );
    expect(fileOf('dispatcher.list')).toBe(
      codeBlock('docs/scaling.md', 'dispatcher', 'sip:', {
        '192.0.2.11:5060': `127.0.0.1:${sip[0]}`,
        '192.0.2.12:5060': `127.0.0.1:${sip[1]}`,
      }),
    );
    expect(fileOf('kamailio.cfg')).toBe(
      codeBlock('docs/scaling.md', 'kamailio', 'request_route', { '192.0.2.10:5060': '127.0.0.1:5060' }),
    );
    for (const file of ['haproxy.cfg', 'kamailio.cfg', 'dispatcher.list'])
      expect(text).toContain(`./operations/cluster/${file}:`);
  });

  it.skipIf(!isInstalled(COMPOSE))('is taken by docker-compose, with POSTGRES_PASSWORD only', () => {
    const run = (password?: string) =>
      spawnSync(COMPOSE, ['--file', 'docker-compose.cluster.yml', 'config'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], ...(password && { POSTGRES_PASSWORD: password }) },
      });
    expect(run().stderr).toContain('put POSTGRES_PASSWORD into .env');
    const { status, stdout, stderr } = run('s3cret');
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('postgres://patchbay:s3cret@127.0.0.1:5432/patchbay');
  });
});

it('the image has all that the Dockerfile copies, the license included', () => {
  const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files]) =>
    files!.split(' '),
  );
  expect(copied).toContain('LICENSE');
  const kept = textOf('.dockerignore').split('\n');
  for (const file of copied) expect(kept).toContain(`!${file}`);
});
