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
import { DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT, Rest, TWO_ACCOUNTS } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const DRAIN_S = 3;

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

const answeredCall = async (
  gateway: { sipPort: number },
  token: string,
  options: { hangsUp?: boolean; tone?: number } = {},
): Promise<SippCall> => {
  const { hangsUp = true, tone } = options;
  const call = await placeCall({
    sipPort: gateway.sipPort,
    token,
    ...(tone === undefined ? {} : { tone }),
    ...(hangsUp ? {} : { then: (steps) => steps.expect(200).ack().waitForBye() }),
  });
  calls.push(call);
  return call;
};

/** A phone of two of {@link OTHER_ACCOUNT} that talk to each other. */
interface Talker {
  readonly id: string;
  readonly call: SippCall;
  /** Times between which it was answered. */
  readonly asked: number;
  readonly answered: number;
}

const TONES = [500, 900] as const;

async function startTalk(gateway: { httpUrl: string; sipPort: number }): Promise<readonly [Talker, Talker]> {
  const rest = new Rest(gateway, OTHER_ACCOUNT);
  const session = await rest.session();
  const talker = async (tone: number): Promise<Talker> => {
    const { id, token } = await rest.member(session);
    const asked = Date.now();
    const call = await answeredCall(gateway, token, { tone });
    return { id, call, asked, answered: Date.now() };
  };
  const talkers = [await talker(TONES[0]), await talker(TONES[1])] as const;
  await hearEachOther(talkers);
  return talkers;
}

/** Waits until they do, and fails when either has missed anything of what was sent to it. */
async function hearEachOther([one, two]: readonly [Talker, Talker]): Promise<void> {
  await Promise.all([one.call.tones.hears(TONES[1]), two.call.tones.hears(TONES[0])]);
  expect(
    [one, two].map(({ call }) => call.tones.breaks),
    'sound that is missing',
  ).toEqual([0, 0]);
}

interface UsageRecord {
  readonly participantId: string;
  readonly endReason: string;
  readonly seconds: number;
}

/** What a gateway that has ended kept of all calls, as the next one tells it. */
async function usageAfter(dataDir: string): Promise<readonly UsageRecord[]> {
  const after = await startGateway({ dataDir, env: TWO_ACCOUNTS });
  const of = async (account: typeof OTHER_ACCOUNT): Promise<readonly UsageRecord[]> =>
    ((await new Rest(after, account).request('GET', '/usage')) as { items: UsageRecord[] }).items;
  try {
    return [...(await of(DEVELOPMENT_ACCOUNT)), ...(await of(OTHER_ACCOUNT))];
  } finally {
    await after.stop();
  }
}

/** Fails unless the call is down as ended for that reason, with all of its time. */
function expectWhole(
  usage: readonly UsageRecord[],
  { id, asked, answered }: Talker,
  end: { reason: string; between: readonly [number, number] },
): void {
  const record = usage.find(({ participantId }) => participantId === id)!;
  expect(record.endReason).toBe(end.reason);
  // Kept in ms, and rounded.
  expect(record.seconds).toBeGreaterThanOrEqual((end.between[0] - answered - 1) / 1_000);
  expect(record.seconds).toBeLessThanOrEqual((end.between[1] - asked + 1) / 1_000);
}

const byesTo = (call: SippCall): number =>
  call.messages.filter(({ direction, method }) => direction === 'received' && method === 'BYE').length;

describe('npm start', () => {
  it('drains at signals that come at once, without a gap in what others say, and hangs up at one a second later: BYE, usage, exit 1', async () => {
    const dataDir = join(folder, 'hurried');
    const npm = new NpmStart({ PATCHBAY_DATA_DIR: dataDir, ...TWO_ACCOUNTS });
    const gateway = await npm.ready();
    const rest = new Rest(gateway);
    const { id, token } = await rest.member(await rest.session());
    const asked = Date.now();
    const call = await answeredCall(gateway, token, { hangsUp: false });
    const silent: Talker = { id, call, asked, answered: Date.now() };
    const talkers = await startTalk(gateway);
    // A slow request must not delay the BYE.
    const slow = connect(gateway.httpPort, '127.0.0.1');
    slow.write('POST /v1/accounts/9900000/sessions HTTP/1.1\r\nHost: slow\r\nContent-Length: 9\r\n');

    npm.signalGroup('SIGTERM');
    await npm.line('"msg":"stopping"');
    await pause(1_100);
    expect((await fetch(`${gateway.httpUrl}/readyz`)).status, 'it drains').toBe(503);
    expect([silent, ...talkers].map((talker) => byesTo(talker.call))).toEqual([0, 0, 0]);
    await hearEachOther(talkers);
    const [one, two] = talkers;
    const hangsUpAt = Date.now();
    await one.call.hangUp();
    const hungUpAt = Date.now();

    npm.signalGroup('SIGTERM');
    await Promise.all([silent.call.hungUp(), two.call.hungUp()]);
    const endedAt = Date.now();
    await npm.over;
    slow.destroy();
    expect(npm.exitCode).toBe(1);

    const stopped = { reason: 'shutdown', between: [hungUpAt, endedAt] as const };
    const usage = await usageAfter(dataDir);
    expectWhole(usage, silent, stopped);
    expectWhole(usage, two, stopped);
    expectWhole(usage, one, { reason: 'left', between: [hangsUpAt, hungUpAt] });
  });

  it('lets calls go on without a gap until its time to drain is over: BYE, usage, exit 0', async () => {
    const dataDir = join(folder, 'drained');
    const npm = new NpmStart({
      PATCHBAY_DATA_DIR: dataDir,
      PATCHBAY_DRAIN_SECONDS: String(DRAIN_S),
      ...TWO_ACCOUNTS,
    });
    const talkers = await startTalk(await npm.ready());
    const packets = talkers.map(({ call }) => call.tones.packets);
    const signalledAt = Date.now();
    npm.signalGroup('SIGINT');
    const reasons = await Promise.all(
      talkers.map(async ({ call }) => (await call.hungUp()).header('Reason')),
    );
    const endedAt = Date.now();
    await npm.over;
    expect(npm.lines.at(-1)).toContain('"msg":"stopped"');
    for (const reason of reasons) expect(reason).toContain('stopping');
    expect(endedAt - signalledAt).toBeGreaterThanOrEqual(DRAIN_S * 1_000);
    expect(
      talkers.map(({ call }) => call.tones.breaks),
      'sound that is missing',
    ).toEqual([0, 0]);
    // Fifty packets a second; a busy machine may leave some out.
    for (const [i, { call }] of talkers.entries())
      expect(call.tones.packets - packets[i]!).toBeGreaterThan(DRAIN_S * 40);
    const usage = await usageAfter(dataDir);
    for (const talker of talkers)
      expectWhole(usage, talker, {
        reason: 'shutdown',
        between: [signalledAt + DRAIN_S * 1_000, endedAt],
      });
  });

  it('drains when its terminal is closed: SIGHUP counts as SIGTERM', async () => {
    const npm = new NpmStart({ PATCHBAY_DATA_DIR: join(folder, 'closed-terminal') });
    const gateway = await npm.ready();
    const rest = new Rest(gateway);
    const { token } = await rest.member(await rest.session());
    const call = await answeredCall(gateway, token);
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
