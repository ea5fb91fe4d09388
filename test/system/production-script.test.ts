import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMetrics } from '../support/metrics.js';
import { Rest } from '../support/rest.js';
import { DRACHTIO_PROGRAM, FREESWITCH_PROGRAM } from '../support/servers.js';
import { phoneOffer, placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

/** The machine of production is a network namespace with an address of its own (RFC 5737), joined to this one. */
const SPACE = `pbprod${process.pid}`;
const [PHONES, MACHINE] = ['192.0.2.9', '192.0.2.10'];
const START_LIMIT_MS = 50_000;
const HTTP_PORT = 8080;
const SIP_PORT = 5060;

/** Policies of sched(7): 0 is the normal one, 1 and 2 are real-time. */
const NORMAL = 0;

const inSpace = ['netns', 'exec', SPACE] as const;
const ip = (...args: readonly string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

const missing =
  DRACHTIO_PROGRAM === undefined || FREESWITCH_PROGRAM === undefined || process.getuid?.() !== 0
    ? ' (needs PATCHBAY_TEST_DRACHTIO_PROGRAM, PATCHBAY_TEST_FREESWITCH_PROGRAM and root)'
    : '';

describe.skipIf(missing)(`scripts/production.sh${missing}`, () => {
  let folder: string;
  let script: ChildProcess;
  let output = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchbay-production-'));
    ip('netns', 'add', SPACE);
    const [outer, inner] = [`pbo${process.pid}`, `pbi${process.pid}`];
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', SPACE);
    ip('addr', 'add', `${PHONES}/30`, 'dev', outer);
    ip('link', 'set', outer, 'up');
    ip('-n', SPACE, 'addr', 'add', `${MACHINE}/30`, 'dev', inner);
    ip('-n', SPACE, 'link', 'set', inner, 'up');
    ip('-n', SPACE, 'link', 'set', 'lo', 'up');
    script = spawn('ip', [...inSpace, 'scripts/production.sh'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        PATCHBAY_SECRET: 'of-the-tests',
        HOST_IP: MACHINE,
        DRACHTIO_PROGRAM,
        FREESWITCH_PROGRAM,
        FREESWITCH_RUN_DIR: join(folder, 'freeswitch'),
        PATCHBAY_DATA_DIR: join(folder, 'data'),
        PATCHBAY_HTTP_HOST: MACHINE,
        PATCHBAY_DRAIN_SECONDS: '0',
      },
    });
    for (const stream of [script.stdout!, script.stderr!])
      stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-8000)));
  });

  afterEach(async () => {
    for (const pid of processes()) process.kill(pid, 'SIGKILL');
    if (script.exitCode === null) await once(script, 'exit');
    ip('netns', 'del', SPACE);
    rmSync(folder, { recursive: true });
  });

  /** Of all programs that run on the machine. */
  function processes(): number[] {
    return execFileSync('ip', ['netns', 'pids', SPACE], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
      .map(Number);
  }

  it('starts all three, which carry a call through FreeSWITCH, and leaves none running', async () => {
    const gateway = { httpUrl: `http://${MACHINE}:${HTTP_PORT}` };
    const seen = (): Promise<string> => Promise.resolve(output);
    const healthy = async (): Promise<boolean> => {
      const ready = await fetch(`${gateway.httpUrl}/readyz`).catch(() => undefined);
      if (!ready?.ok) return false;
      return [...(await readMetrics(gateway)).entries()].some(
        ([name, value]) => name.startsWith('patchbay_freeswitch_healthy') && value === 1,
      );
    };
    await until('the gateway with FreeSWITCH', healthy, { withinMs: START_LIMIT_MS, everyMs: 250, seen });

    const rest = new Rest(gateway);
    const session = await rest.session();
    const place = async (tone: number): Promise<SippCall> => {
      const { token } = await rest.member(session);
      const sdp = (port: number): string => phoneOffer(port, { host: PHONES });
      return placeCall({ host: PHONES, callee: MACHINE, sipPort: SIP_PORT, token, tone, invite: { sdp } });
    };
    const calls = [await place(440), await place(700)] as const;
    try {
      for (const call of calls) expect((await call.final()).status).toBe(200);
      await calls[0].tones.hears(700);
      await calls[1].tones.hears(440);
      expect(policies('freeswitch')).toEqual(new Set([NORMAL]));
    } finally {
      for (const call of calls) await call.end();
    }

    const exit = once(script, 'exit');
    script.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    expect(processes()).toEqual([]);
  });

  /** Scheduling policies of all threads of a program on the machine. */
  function policies(program: string): Set<number> {
    const pids = processes().filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === program);
    const threads = pids.flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).map((thread) =>
        readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'),
      ),
    );
    // The name in parentheses may hold spaces; the policy is the 41st field.
    return new Set(threads.map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38])));
  }
});
