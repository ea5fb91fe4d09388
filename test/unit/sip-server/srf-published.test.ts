import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type Srf from 'drachtio-srf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SipServer } from '../../../src/sip-server/index.js';
import { freeUdpPort } from '../../support/ports.js';
import { SDP } from '../../support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../support/sip-server.js';

/** drachtio-srf's own example applications and SIPp scenarios, which its package brings with it. */
const PUBLISHED = join(dirname(createRequire(import.meta.url).resolve('drachtio-srf')), '..', 'test');

let folder: string;
let server: SipServer;
const children: ChildProcess[] = [];

vi.setConfig({ testTimeout: 20_000 });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'srf-published-'));
  // The applications ask the package `config` where to connect.
  mkdirSync(join(folder, 'config'));
  const answer = "{ host: '127.0.0.1', port: Number(process.env.ADMIN_PORT), secret: 'cymru' }";
  writeFileSync(join(folder, 'config', 'index.js'), `exports.get = () => (${answer});`);
  writeFileSync(
    join(folder, 'run.js'),
    `const [script, method, ...args] = JSON.parse(process.argv[2]);
     const app = new (require(script))();
     app.on('connected', ({ uas, uac }) => {
       if (!uas || !uac) return;
       uas.on('destroy', () => uac.destroy());
       uac.on('destroy', () => uas.destroy());
     });
     app.srf.on('connect', () => { app[method](...args); process.send('ready'); });`,
  );
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  server = await testServer();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await server.stop();
});

/** Runs one of the applications as it was published: constructs it and calls the method that sets it up. */
async function runApp(script: string, method: string, ...args: unknown[]): Promise<void> {
  const told = JSON.stringify([join(PUBLISHED, 'scripts', script), method, ...args]);
  const env = { ...process.env, NODE_PATH: folder, ADMIN_PORT: String(server.adminAddress.port) };
  const child = fork(join(folder, 'run.js'), [told], { env, execArgv: [], stdio: 'ignore' });
  children.push(child);
  await once(child, 'message');
}

/** Plays a published scenario once; resolves with SIPp's exit code, 0 when everything came as expected. */
async function sipp(scenario: string, args: readonly string[]): Promise<number | null> {
  const file = join(folder, scenario);
  // As published, but for the seconds that it waits with nothing to come.
  const text = readFileSync(join(PUBLISHED, 'scenarios', scenario), 'utf8');
  writeFileSync(
    file,
    text.replace(/<(timewait|pause)\b[^>]*?\/>/g, (_all, name: string) => `<${name} milliseconds="100"/>`),
  );
  const limits = ['-m', '1', '-timeout', '20s', '-timeout_error', '-nostdin', '-i', '127.0.0.1'];
  const child = spawn('sipp', ['-sf', file, ...limits, ...args], { cwd: folder, stdio: 'ignore' });
  children.push(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

function calling(scenario: string): Promise<number | null> {
  return sipp(scenario, [`127.0.0.1:${addressOf(server, 'udp').port}`]);
}

async function answering(scenario: string): Promise<{ uri: string; done: Promise<number | null> }> {
  const port = await freeUdpPort();
  return { uri: `sip:127.0.0.1:${port}`, done: sipp(scenario, ['-p', String(port)]) };
}

describe('published applications', () => {
  it('answer calls', async () => {
    await runApp('uas.js', 'accept');
    expect(await calling('uac.xml')).toBe(0);
  });

  it('refuse calls', async () => {
    await runApp('uas.js', 'reject', 503);
    expect(await calling('uac-expect-503.xml')).toBe(0);
  });

  it('take re-INVITEs', async () => {
    await runApp('uas.js', 'handleReinviteScenario');
    expect(await calling('uac-send-reinvite-no-sdp.xml')).toBe(0);
  });

  it.each([
    ['connect two phones', 'expectSuccess', [{}], 'uas.xml', 'uac.xml'],
    ['connect a phone without an offer', 'expectSuccess', [{}], 'uas.xml', 'uac-nosdp.xml'],
    ['pass a CANCEL on', 'expectCancel', [], 'uas-cancel.xml', 'uac-cancel.xml'],
    ['pass a refusal on', 'expectFailure', [404], 'uas-404.xml', 'uac-expect-404.xml'],
    ['change a refusal', 'expectFailure', [404, 480], 'uas-404.xml', 'uac-expect-480.xml'],
  ] as const)('back to back %s', async (_what, method, args, uas, uac) => {
    const callee = await answering(uas);
    await runApp('b2b.js', method, callee.uri, ...args);
    expect(await calling(uac)).toBe(0);
    expect(await callee.done).toBe(0);
  });

  it.each(['proxyPromise', 'proxyCb'])('proxy calls (%s)', async (method) => {
    const callee = await answering('uas.xml');
    await runApp('proxy.js', method, callee.uri);
    expect(await calling('uac-proxy.xml')).toBe(0);
    expect(await callee.done).toBe(0);
  });
});

/** The part of drachtio-srf that its types leave out. */
interface FullSrf {
  createUAC(uri: string, opts: object): Promise<{ destroy(): Promise<unknown> }>;
  request(uri: string, opts: object): Promise<NodeJS.EventEmitter>;
}

describe('published scenarios', () => {
  const auth = { username: 'foo', password: 'bar' };
  let app: FullSrf;

  beforeEach(async () => {
    const srf = await connectApp(server, () => undefined);
    app = srf as unknown as FullSrf;
    return () => srf.disconnect();
  });

  it.each(['uas.xml', 'uas-auth.xml', 'uas-bye-with-auth.xml'])('call a phone (%s)', async (scenario) => {
    const callee = await answering(scenario);
    const dialog = await app.createUAC(callee.uri, { auth, localSdp: SDP });
    await dialog.destroy();
    expect(await callee.done).toBe(0);
  });

  it('register with a digest', async () => {
    const callee = await answering('uas-auth-register.xml');
    const request = await app.request(callee.uri, { method: 'REGISTER', auth, headers: { Subject: 'test' } });
    const [response] = (await once(request, 'response')) as [Srf.SrfResponse];
    expect(response.status).toBe(200);
    expect(await callee.done).toBe(0);
  });
});
