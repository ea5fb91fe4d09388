import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { freeUdpPort } from '../support/ports.js';
import { until } from '../support/until.js';

const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-start-'));

function run(command: string, args: string[], env: Record<string, string>) {
  return spawn(command, args, {
    env: {
      ...process.env,
      PATCHBAY_HTTP_PORT: '0',
      PATCHBAY_SIP_PORT: '0',
      PATCHBAY_WEBRTC_PORT: '0',
      PATCHBAY_DATA_DIR: dataDir,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describe('npm start', () => {
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('prints where the gateway is, warns of the development account, and ends with 0 on SIGTERM', async () => {
    const npm = run('npm', ['start'], { PATCHBAY_ACCOUNTS: '' });
    const exited = once(npm, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface({ input: npm.stdout })) {
      lines.push(line);
      if (!line.includes('"msg":"ready"')) continue;
      const { http } = JSON.parse(line) as { http: string };
      expect((await fetch(`${http}/readyz`)).status).toBe(200);
      npm.kill('SIGTERM');
    }
    expect(await exited).toEqual([0, null]);
    expect(lines.join('\n')).toContain('development account');
  });

  it('names what is wrong in the configuration and exits with 2', async () => {
    const gateway = run(process.execPath, ['dist/main.js'], { PATCHBAY_RTP_PORTS: 'many' });
    const output: Buffer[] = [];
    gateway.stderr.on('data', (chunk: Buffer) => output.push(chunk));
    expect(await once(gateway, 'close')).toEqual([2, null]);
    expect(Buffer.concat(output).toString()).toContain('PATCHBAY_RTP_PORTS');
  });

  it('logs an unexpected error with the places in the sources', async () => {
    const broken = `import net from 'node:net'; net.Server.prototype.listen = () => { throw new Error('broken'); };`;
    const preload = `data:text/javascript,${encodeURIComponent(broken)}`;
    const gateway = run(process.execPath, ['--import', preload, 'dist/main.js'], {
      PATCHBAY_MEDIA_HOSTS: '0',
    });
    const output: Buffer[] = [];
    gateway.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    expect(await once(gateway, 'close')).toEqual([1, null]);
    const lines = Buffer.concat(output).toString().trim().split('\n');
    const { err } = JSON.parse(lines.find((line) => line.includes('could not start'))!) as {
      err: { stack: string };
    };
    const [, file, line] = /at .*\((src\/\S+\.ts):(\d+)\)/.exec(err.stack) ?? [];
    expect(readFileSync(file!, 'utf8').split('\n')[Number(line) - 1], err.stack).toContain('.listen(');
  });

  it('goes on when its log cannot be written', async () => {
    const port = await freeUdpPort();
    const full = openSync('/dev/full', 'w');
    const gateway = spawn(process.execPath, ['dist/main.js'], {
      env: {
        ...process.env,
        PATCHBAY_HTTP_PORT: String(port),
        PATCHBAY_SIP_PORT: '0',
        PATCHBAY_WEBRTC_PORT: '0',
        PATCHBAY_DATA_DIR: dataDir,
      },
      stdio: ['ignore', full, 'ignore'],
    });
    closeSync(full);
    const exited = once(gateway, 'exit');
    const ready = () =>
      fetch(`http://127.0.0.1:${String(port)}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      );
    try {
      await until('readiness', ready, { withinMs: 20_000 });
      gateway.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
    } finally {
      gateway.kill('SIGKILL');
    }
  });

  it('says which port is taken and exits with 1', async () => {
    const taken = run(process.execPath, ['dist/main.js'], {});
    const lines = createInterface({ input: taken.stdout })[Symbol.asyncIterator]();
    let ready: { httpPort?: number; msg?: string } = {};
    while (ready.msg !== 'ready') ready = JSON.parse((await lines.next()).value as string) as typeof ready;
    const late = run(process.execPath, ['dist/main.js'], {
      PATCHBAY_HTTP_PORT: String(ready.httpPort),
      PATCHBAY_DATA_DIR: join(dataDir, 'other'),
    });
    const output: Buffer[] = [];
    late.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    expect(await once(late, 'close')).toEqual([1, null]);
    expect(Buffer.concat(output).toString()).toContain(
      `PATCHBAY_HTTP_PORT: another program uses port ${String(ready.httpPort)} of 127.0.0.1`,
    );
    taken.kill('SIGTERM');
    await once(taken, 'exit');
  });
});
