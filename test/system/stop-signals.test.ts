import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { startGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'patchbay-signals-'));
const running: NpmStart[] = [];
const calls: SippCall[] = [];

afterEach(async () => {
  await Promise.all(calls.splice(0).map((call) => call.end()));
  for (const npm of running.splice(0)) npm.destroy();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `npm start` as a terminal or supervisor runs it: in its own process group. */
class NpmStart {
  readonly lines: string[] = [];
  readonly #npm: ChildProcess;
  /** When npm, the gateway and whatever they started have closed their outputs. */
  readonly over: Promise<unknown>;

  constructor(env: Record<string, string>, cwd?: string) {
    this.#npm = spawn('npm', ['start'], {
      cwd,
      detached: true,
      env: {
        ...process.env,
        PATCHBAY_HTTP_PORT: '0',
        PATCHBAY_SIP_PORT: '0',
        PATCHBAY_WEBRTC_PORT: '0',
        // Longer than any test waits.
        PATCHBAY_DRAIN_SECONDS: '600',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.over = once(this.#npm, 'close');
    for (const input of [this.#npm.stdout!, this.#npm.stderr!]) {
      createInterface({ input }).on('line', (line) => this.lines.push(line));
    }
    running.push(this);
  }

  get exitCode(): number | null {
    return this.#npm.exitCode;
  }

  /** The first line of output that holds a text. */
  line(part: string): Promise<string> {
    return until(`output: ${part}`, () => this.lines.find((line) => line.includes(part)), {
      withinMs: 30_000,
      seen: () => Promise.resolve(this.lines),
    });
  }

  async ready(): Promise<{ httpUrl: string; httpPort: number; sipPort: number }> {
    const { http, httpPort, sipPort } = JSON.parse(await this.line('"msg":"ready"')) as Record<string, never>;
    return { httpUrl: http!, httpPort: httpPort!, sipPort: sipPort! };
  }

  /** Signals every process of the group: the gateway gets it from here and from npm. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.#npm.pid!, signal);
  }

  /** Signals npm alone, which passes it on. */
  signal(signal: NodeJS.Signals): void {
    this.#npm.kill(signal);
  }

  /** Ends what a failed test left. */
  destroy(): void {
    try {
      this.signalGroup('SIGKILL');
    } catch {
      // Nothing of the group is left.
    }
  }
}

const answeredCall = async (gateway: { sipPort: number }, token: string, hangsUp: boolean) => {
  const call = await placeCall({
    sipPort: gateway.sipPort,
    token,
    ...(hangsUp ? {} : { then: (steps) => steps.expect(200).ack().waitForBye() }),
  });
  calls.push(call);
  return call;
};

describe('npm start', () => {
  it('drains at signals that come at once, and hangs up at one a second later: BYE, usage, exit 1', async () => {
    const dataDir = join(folder, 'hurried');
    const npm = new NpmStart({ PATCHBAY_DATA_DIR: dataDir });
    const gateway = await npm.ready();
    const rest = new Rest(gateway);
    const { id, token } = await rest.member(await rest.session());
    const call = await answeredCall(gateway, token, false);
    const answeredAt = Date.now();
    // A slow request must not delay the BYE.
    const slow = connect(gateway.httpPort, '127.0.0.1');
    slow.write('POST /v1/accounts/9900000/sessions HTTP/1.1\r\nHost: slow\r\nContent-Length: 9\r\n');

    npm.signalGroup('SIGTERM');
    await npm.line('"msg":"stopping"');
    await pause(1_100);
    expect((await fetch(`${gateway.httpUrl}/readyz`)).status, 'it drains').toBe(503);
    expect(call.messages.filter(({ method }) => method === 'BYE')).toEqual([]);

    npm.signalGroup('SIGTERM');
    await call.hungUp();
    const lastedMs = Date.now() - answeredAt;
    await npm.over;
    slow.destroy();
    expect(npm.exitCode).toBe(1);

    const after = await startGateway({ dataDir });
    try {
      const usage = await new Rest(after).request('GET', '/usage');
      const [record] = (usage as { items: { participantId: string; endReason: string; seconds: number }[] })
        .items;
      expect(record).toMatchObject({ participantId: id, endReason: 'shutdown' });
      // At least the time from the answer to the BYE, which came after the pause.
      expect(record!.seconds).toBeGreaterThanOrEqual(1.1);
      expect(record!.seconds).toBeLessThanOrEqual(lastedMs / 1_000 + 1);
    } finally {
      await after.stop();
    }
  });

  it('drains when its terminal is closed: SIGHUP counts as SIGTERM', async () => {
    const npm = new NpmStart({ PATCHBAY_DATA_DIR: join(folder, 'closed-terminal') });
    const gateway = await npm.ready();
    const rest = new Rest(gateway);
    const { token } = await rest.member(await rest.session());
    const call = await answeredCall(gateway, token, true);
    npm.signalGroup('SIGHUP');
    await npm.line('"msg":"stopping"');
    await call.hangUp();
    await npm.over;
    expect(npm.lines.at(-1)).toContain('"msg":"stopped"');
  });

  it('exits with 0 when its terminal is gone', async () => {
    const file = (name: string): string => join(folder, name);
    // `script` is the terminal; the shell passes SIGHUP on, as shells do, and waits for the gateway's exit code.
    const command = [
      `node dist/main.js 2> ${file('stderr')} & gateway=$!`,
      'trap "kill -HUP $gateway" HUP',
      'wait $gateway',
      `wait $gateway; echo $? > ${file('exit')}`,
    ].join('; ');
    const terminal = spawn('script', ['-qfc', command, file('typescript')], {
      env: {
        ...process.env,
        PATCHBAY_HTTP_PORT: '0',
        PATCHBAY_SIP_PORT: '0',
        PATCHBAY_WEBRTC_PORT: '0',
        PATCHBAY_DATA_DIR: file('terminal'),
      },
      stdio: 'ignore',
    });
    const read = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '');
    await until('the gateway in the terminal', () => read('typescript').includes('ready'), {
      withinMs: 20_000,
    });
    terminal.kill('SIGKILL');
    await until('the gateway’s end', () => read('exit') !== '', { withinMs: 20_000 });
    expect([read('exit').trim(), read('stderr')]).toEqual(['0', '']);
  });

  it('ends at a signal while it builds, and the compiler with it', async () => {
    const clone = join(folder, 'clone');
    mkdirSync(clone);
    for (const part of [
      'src',
      'scripts',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.build.json',
    ]) {
      cpSync(part, join(clone, part), { recursive: true });
    }
    symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
    const npm = new NpmStart({ PATCHBAY_DATA_DIR: join(folder, 'built') }, clone);
    await npm.line('Building');
    npm.signal('SIGTERM');
    await npm.over;
    expect(npm.exitCode).not.toBe(0);
    expect(existsSync(join(clone, 'dist/main.js')), 'compiled after all').toBe(false);
  });
});
