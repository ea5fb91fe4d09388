// `npm run try-docs`: tries what the README and docs/operations.md tell to type, word for word, in a fresh clone of the
// last commit: `npm start`, the first call, backup, restore, the upgrade from the last version with another database, the
// way back, and journald's settings. Takes some minutes and needs the npm registry.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const START_MS = 600_000;
const PAGE = 'docs/operations.md';
const JOURNALD = '/lib/systemd/systemd-journald';
const DEVELOPER = `Basic ${Buffer.from('patchbay:patchbay').toString('base64')}`;

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = mkdtempSync(join(tmpdir(), 'patchbay-docs-'));
const origin = join(folder, 'origin.git');
/** Gateways that are still to be stopped. */
const running = new Set();

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28 }).trim();
}

/** What a reader copies: the one `sh` block of a page with this text, with other folders. */
function block(page, having, replaced = {}, language = 'sh') {
  const found = [...readFileSync(page, 'utf8').matchAll(/^( *)```(\w+)\n([^]*?)^ *```$/gm)]
    .filter(([, , lang, text]) => lang === language && text.includes(having))
    .map(([, indent, , text]) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks of ${language} with ${having}`);
  return Object.entries(replaced).reduce((text, [from, to]) => text.replaceAll(from, to), found[0]);
}

/** The reader's environment, in which nothing of ours is set but ports and folders. */
function environment(dataDir) {
  const own = Object.entries(process.env).filter(([name]) => !/^(PATCHBAY_|npm_)/.test(name));
  return {
    ...Object.fromEntries(own),
    PATCHBAY_DATA_DIR: dataDir,
    ...Object.fromEntries(['HTTP', 'SIP', 'WEBRTC'].map((which) => [`PATCHBAY_${which}_PORT`, '0'])),
  };
}

/** Types commands in a folder, and waits for their end. */
function type(commands, cwd) {
  const { status } = spawnSync('sh', ['-eu', '-c', commands], {
    cwd,
    stdio: 'inherit',
    env: environment(join(folder, 'none')),
  });
  if (status !== 0) throw new Error(`failed with ${status}: ${commands}`);
}

/** Types what starts a gateway, and waits until it is ready or has ended. */
async function start(command, cwd, dataDir) {
  const child = spawn('sh', ['-c', `exec ${command}`], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(dataDir),
  });
  const closed = once(child, 'close');
  running.add(child);
  void closed.then(() => running.delete(child));
  const lines = [];
  const ready = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr])
      createInterface({ input }).on('line', (line) => {
        lines.push(line);
        if (line.includes('"msg":"ready"')) resolve(JSON.parse(line));
      });
  });
  const late = new Promise((resolve) => setTimeout(resolve, START_MS).unref());
  const line = await Promise.race([ready, closed.then(() => undefined), late]);
  const url = `http://127.0.0.1:${line?.httpPort}`;
  return {
    url,
    isReady: line !== undefined,
    lines,
    ask: async (path, init = {}) => {
      const response = await fetch(url + path, { ...init, headers: { authorization: DEVELOPER } });
      return { status: response.status, body: await response.json() };
    },
    /** @returns the exit code */
    stop: async (signal) => {
      process.kill(-child.pid, signal);
      const [code] = await closed;
      return code;
    },
  };
}

function check(what, isSo, seen) {
  if (!isSo) throw new Error(`not so: ${what}${seen === undefined ? '' : `\n${JSON.stringify(seen)}`}`);
  console.log(`  ${what}`);
}

function requireReady(what, gateway) {
  check(what, gateway.isReady, gateway.lines.slice(-20));
}

async function freshClone() {
  console.log('README: two commands');
  git('clone', '--quiet', origin, join(folder, 'patchbay'));
  const cwd = join(folder, 'patchbay');
  const [npmStart] = block(join(cwd, 'README.md'), 'npm test').split('\n');
  const gateway = await start(npmStart, cwd, join(folder, 'first'));
  requireReady('npm start installs, builds and runs the gateway', gateway);
  check('/readyz answers 200', (await gateway.ask('/readyz')).status === 200);
  await gateway.stop('SIGINT');
  const isGone = await gateway.ask('/healthz').then(
    () => false,
    () => true,
  );
  check('Ctrl-C ends it', isGone);
  return cwd;
}

function testsOfThePages(cwd) {
  console.log('README, docs/operations.md and docs/debugging.md: their tests, in the clone');
  const vitest = (project, ...files) =>
    execFileSync(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--project', project, ...files],
      {
        cwd,
        stdio: 'inherit',
      },
    );
  vitest('unit', 'test/unit/operations-page', 'test/unit/container-files', 'test/unit/grafana-dashboard');
  const names = ['readme', 'operations-files', 'operations-proxies', 'debugging', 'examples'];
  vitest('system', ...names.map((name) => `test/system/${name}.test.ts`));
}

/** The last commit before the database's present schema. */
function versionBefore() {
  const changed = git(
    'log',
    '-1',
    '--format=%H',
    '-G',
    '^ *.?(CREATE|ALTER|UPDATE|DROP) ',
    '--',
    'src/store/libsql/schema.ts',
  );
  return git('rev-parse', `${changed}^`);
}

async function upgrade(present) {
  console.log('docs/operations.md: upgrade');
  const [old, next, dataDir] = ['installed', 'patchbay-next', 'data'].map((name) => join(folder, name));
  const replaced = { '/srv/backup': join(folder, 'backup'), '/var/lib/patchbay': dataDir };
  git('clone', '--quiet', origin, old);
  git('-C', old, 'reset', '--quiet', '--hard', versionBefore());
  type('npm ci && npm run build', old);
  const before = await start('node dist/main.js', old, dataDir);
  requireReady('the version before runs', before);
  const account = '/v1/accounts/9900000';
  const { body: session } = await before.ask(`${account}/sessions`, { method: 'POST' });
  const { body: created } = await before.ask(`${account}/participants`, { method: 'POST' });
  const path = `${account}/participants/${created.participant.id}`;

  const page = join(present, PAGE);
  mkdirSync(join(folder, 'backup'));
  type(block(page, 'npm run backup', replaced), old);
  type(block(page, 'git worktree add'), old);
  const report = await before.ask(`${account}/usage`);
  check('the running gateway does not notice the new version', report.status === 200, report);
  check('SIGTERM stops it with 0', (await before.stop('SIGTERM')) === 0, before.lines.slice(-5));

  const after = await start('node dist/main.js', next, dataDir);
  requireReady('the new version starts on its data', after);
  check('/readyz answers 200', (await after.ask('/readyz')).status === 200);
  const { body: health } = await after.ask('/healthz');
  const { version } = JSON.parse(readFileSync(join(next, 'package.json'), 'utf8'));
  check('/healthz says the version', health.version === version, health);
  check('participants are still there', (await after.ask(path)).status === 200);
  check('sessions too', (await after.ask(`${account}/sessions/${session.id}`)).status === 200);
  await after.stop('SIGTERM');

  const refused = await start('node dist/main.js', old, dataDir);
  const says = refused.lines.some((line) => line.includes('schema version'));
  check('the old version refuses the new data, and says so', !refused.isReady && says, refused.lines);
  type(block(page, 'npm run restore', replaced), old);
  const back = await start('node dist/main.js', old, dataDir);
  requireReady('after the restore it runs again', back);
  check('its participants are there', (await back.ask(path)).status === 200);
  await back.stop('SIGTERM');
}

/** journald names what it does not know in its configuration, as an instance of its own (`journald@`). */
function journald(cwd) {
  console.log('docs/operations.md: log retention by journald');
  if (process.getuid?.() !== 0 || !existsSync(JOURNALD)) {
    console.log('  skipped: needs root and systemd-journald');
    return;
  }
  const name = `patchbaydocs${process.pid}`;
  const complaints = (settings) => {
    writeFileSync(join(folder, 'journald.conf'), settings);
    const script =
      'mount -t tmpfs tmpfs /etc/systemd && mount -t tmpfs tmpfs /var/log && ' +
      `cp "$0" /etc/systemd/journald@${name}.conf && timeout 3 ${JOURNALD} ${name}`;
    const { stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script, join(folder, 'journald.conf')], {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_LOG_TARGET: 'console', SYSTEMD_LOG_LEVEL: 'info' },
    });
    rmSync(`/run/systemd/journal.${name}`, { recursive: true, force: true });
    return stderr.split('\n').filter((line) => line.includes(`journald@${name}.conf`));
  };
  const settings = block(join(cwd, PAGE), '[Journal]', {}, 'ini');
  check('journald is heard when a setting is wrong', complaints(`${settings}MaxRetention=1\n`).length === 1);
  const found = complaints(settings);
  check('it takes the settings', found.length === 0, found);
}

try {
  const commit = git('rev-parse', 'HEAD');
  if (git('status', '--porcelain') !== '') console.log('What is not committed is not tried.');
  git('clone', '--quiet', '--bare', '.', origin);
  git('--git-dir', origin, 'update-ref', 'refs/heads/tried', commit);
  git('--git-dir', origin, 'symbolic-ref', 'HEAD', 'refs/heads/tried');
  const cwd = await freshClone();
  journald(cwd);
  await upgrade(cwd);
  testsOfThePages(cwd);
  console.log('All of it works as it is written.');
} finally {
  for (const { pid } of running) process.kill(-pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
