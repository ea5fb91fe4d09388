import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { codeBlock } from '../support/page-blocks.js';
import { Rest } from '../support/rest.js';
import { isInstalled } from '../support/tls-proxy.js';
import { until } from '../support/until.js';

const PAGE = 'docs/operations.md';
const RULES = 'operations/prometheus-rules.yml';
const DASHBOARD = 'operations/grafana-dashboard.json';
const PROMTOOL = '/usr/bin/promtool';
const LOGROTATE = '/usr/sbin/logrotate';
const SYSTEMD_ANALYZE = '/usr/bin/systemd-analyze';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-operations-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the alerts and the dashboard', () => {
  let gateway: TestGateway;
  /** The metrics that a gateway has, with the names of their labels as far as there are samples. */
  let known: Map<string, Set<string>>;

  beforeAll(async () => {
    // Nothing listens there: its metrics are there all the same.
    gateway = await startGateway({ env: { PATCHBAY_FREESWITCH: '127.0.0.1:9:none' } });
    await fetch(`${gateway.httpUrl}/healthz`);
    known = metricsIn(await (await fetch(`${gateway.httpUrl}/metrics`)).text());
  });
  afterAll(() => gateway.stop());

  it.each([RULES, DASHBOARD])('%s names metrics and labels that a gateway has, and no others', (file) => {
    const named = selectorsIn(readFileSync(file, 'utf8'));
    expect(named.length).toBeGreaterThan(15);
    for (const { metric, labels } of named) {
      const has = known.get(metric);
      expect(has, metric).toBeDefined();
      // Prometheus adds these; a metric without samples does not tell its labels.
      const added = ['instance', 'job', ...(has!.size === 0 ? labels : [])];
      expect([...has!, ...added], metric).toEqual(expect.arrayContaining(labels));
    }
  });

  it('are found missing where they are', () => {
    const [selector] = selectorsIn('sum(rate(patchbay_no_such_total{cause="x", kind=~"y"}[5m]))');
    expect(selector).toEqual({ metric: 'patchbay_no_such_total', labels: ['cause', 'kind'] });
    expect(known.has('patchbay_no_such_total')).toBe(false);
    expect(known.get('patchbay_call_setup_seconds_bucket')).toBeDefined();
    expect(known.get('patchbay_descriptors')).toEqual(new Set(['which']));
  });

  it('have every alert on the page, and no others', () => {
    const alerts = [...readFileSync(RULES, 'utf8').matchAll(/^ +- alert: (\w+)$/gm)].map(([, name]) => name!);
    const page = readFileSync(PAGE, 'utf8');
    const told = [...page.matchAll(/`(Patchbay[A-Z]\w+)`/g)].map(([, name]) => name!);
    expect(new Set(told)).toEqual(new Set(alerts));
  });

  it.skipIf(!isInstalled(PROMTOOL))(
    'are rules that Prometheus takes, and that alert when they should',
    () => {
      execFileSync(PROMTOOL, ['check', 'rules', RULES], { stdio: 'pipe' });
      const { status, stdout, stderr } = spawnSync(PROMTOOL, [
        'test',
        'rules',
        RULES.replace('.yml', '.test.yml'),
      ]);
      expect(status, String(stdout) + String(stderr)).toBe(0);
    },
  );

  it.skipIf(!isInstalled(PROMTOOL))('are used by a configuration that Prometheus takes', () => {
    const replaced = { 'prometheus-rules.yml': join(process.cwd(), RULES) };
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, codeBlock(PAGE, 'yaml', 'scrape_configs', replaced));
    const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'config', file]);
    expect(status, String(stdout) + String(stderr)).toBe(0);
  });
});

it('a backup and a restore as documented keep sessions, participants and tokens', async () => {
  const replaced = { '/srv/backup': join(folder, 'backup'), '/var/lib/patchbay': join(folder, 'new') };
  const old = await startGateway();
  const rest = new Rest(old);
  const session = await rest.session();
  const { id, token } = await rest.member(session);
  const backedUp = { ...replaced, '/var/lib/patchbay': old.dataDir };
  shell(codeBlock(PAGE, 'sh', 'npm run backup', backedUp));
  await old.stop();

  shell(codeBlock(PAGE, 'sh', 'npm run restore', replaced));
  const restored = await startGateway({ dataDir: join(folder, 'new') });
  try {
    const there = await new Rest(restored).request('GET', `/participants/${id}`);
    expect(there).toMatchObject({ id, sessions: [session] });
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${restored.httpUrl}/console/iceServers`, { headers })).status).toBe(200);
  } finally {
    await restored.stop();
  }
});

it.skipIf(!isInstalled(LOGROTATE))('the log goes on in its file when logrotate has emptied it', async () => {
  const log = join(folder, 'patchbay.log');
  const configuration = join(folder, 'logrotate.conf');
  writeFileSync(
    configuration,
    codeBlock(PAGE, 'logrotate', 'copytruncate', { '/var/log/patchbay.log': log }),
    {
      mode: 0o644,
    },
  );
  // As by `>>`.
  const output = openSync(log, 'a');
  const ports = { PATCHBAY_HTTP_PORT: '0', PATCHBAY_SIP_PORT: '0', PATCHBAY_WEBRTC_PORT: '0' };
  const env = { ...process.env, ...ports, PATCHBAY_DATA_DIR: join(folder, 'data') };
  const child = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', output, output] });
  closeSync(output);
  const lines = (file: string) =>
    readFileSync(file, 'utf8')
      .split('\n')
      // The last may be half written.
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { msg: string; httpPort?: number; path?: string });
  const inLog = (what: string, matches: (line: { msg: string; path?: string }) => boolean) =>
    until(what, () => existsSync(log) && lines(log).find(matches), { withinMs: 20_000 });
  try {
    await inLog('ready', ({ msg }) => msg === 'ready');
    const { httpPort } = lines(log).find(({ msg }) => msg === 'ready')!;
    execFileSync(LOGROTATE, ['--force', '--state', join(folder, 'state'), configuration]);
    expect(lines(`${log}.1`).map(({ msg }) => msg)).toContain('ready');
    await fetch(`http://127.0.0.1:${httpPort}/v1/accounts/after/sessions`);
    await inLog('a line after that', ({ path }) => path === '/v1/accounts/after/sessions');
    expect(lines(log).map(({ msg }) => msg)).not.toContain('ready');
  } finally {
    child.kill('SIGTERM');
    await once(child, 'close');
  }
});

function shell(commands: string): void {
  const { status, stdout, stderr } = spawnSync('sh', ['-eu', '-c', commands], { encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
}

/** What is declared by `# TYPE`, samples or not; histograms by the names of their series. */
function metricsIn(exposition: string): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>([['up', new Set()]]);
  for (const [, name, type] of exposition.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const series = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of series) metrics.set(name! + suffix, new Set());
  }
  for (const [, name, labels = ''] of exposition.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    for (const [, label] of labels.matchAll(/(\w+)="/g)) metrics.get(name!)?.add(label!);
  }
  return metrics;
}

/** The metrics in PromQL, with the labels in their braces. */
function selectorsIn(source: string): { metric: string; labels: string[] }[] {
  const expressions = source.replaceAll('\\"', '"');
  const pattern = /\b((?:patchbay|process|nodejs)_[a-z_]+|up)\b(?:\{([^}]*)\}|(?=[ ,)[>=\n"]))/g;
  return [...expressions.matchAll(pattern)]
    .map(([, metric, braces = '']) => ({
      metric: metric!,
      labels: [...braces.matchAll(/(\w+)\s*(?:=~?|!=|!~)"/g)].map(([, label]) => label!),
    }))
    .filter(({ metric, labels }) => metric !== 'up' || labels.includes('job'));
}

it.skipIf(!isInstalled(SYSTEMD_ANALYZE))('operations/patchbay.service is a unit that systemd takes', () => {
  const unit = join(folder, 'patchbay.service');
  // Where Node.js is differs from machine to machine.
  const text = readFileSync('operations/patchbay.service', 'utf8');
  writeFileSync(unit, text.replace('/usr/bin/node', process.execPath));
  const { stderr } = spawnSync(SYSTEMD_ANALYZE, ['verify', unit], { encoding: 'utf8' });
  // It also reads the units of this machine, which may have faults of their own.
  expect(stderr.split('\n').filter((line) => line.includes('patchbay'))).toEqual([]);
  writeFileSync(unit, text.replace('Type=exec', 'Typ=exec'));
  const mistaken = spawnSync(SYSTEMD_ANALYZE, ['verify', unit], { encoding: 'utf8' });
  expect(mistaken.stderr, 'a mistake is found').toContain('patchbay.service');
});
