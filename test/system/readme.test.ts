import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PHONE_RATE, sine } from '../support/tones.js';
import { until } from '../support/until.js';
import { writeWav } from '../support/wav.js';

const withinMs = 30_000;

/** The reader's machine: a network namespace, where the ports that the README names are free. */
const SPACE = `pbreadme${process.pid}`;
const inSpace = ['netns', 'exec', SPACE] as const;
const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** What the README tells to type for a first call, terminal by terminal. */
const section = readFileSync('README.md', 'utf8').split('\n## A first call\n')[1]!.split('\n## ')[0]!;
const [start, call, ...more] = [...section.matchAll(/```sh\n([^]*?)```/g)].map(([, block]) => block!);

/** A terminal in which something was typed. */
class Terminal {
  readonly lines: string[] = [];
  readonly #shell: ChildProcess;

  constructor(typed: string, folder: string) {
    const env = Object.entries(process.env).filter(([name]) => !name.startsWith('PATCHBAY_'));
    // A leader of a process group, like what a terminal runs.
    // At Ctrl-C an interactive shell goes on with the exit code of what it ran.
    this.#shell = spawn('ip', [...inSpace, 'sh', '-c', `trap true INT\n${typed}`], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(env),
        PATCHBAY_DATA_DIR: join(folder, 'data'),
        PATCHBAY_DRAIN_SECONDS: '0',
      },
    });
    for (const input of [this.#shell.stdout!, this.#shell.stderr!])
      createInterface({ input }).on('line', (line) => this.lines.push(line));
  }

  /** Waits for a line. @returns it */
  async shows(pattern: RegExp): Promise<string> {
    const found = (): string | undefined => this.lines.find((line) => pattern.test(line));
    return until(String(pattern), found, { withinMs, seen: () => Promise.resolve(this.lines.slice(-20)) });
  }

  enter(): void {
    this.#shell.stdin!.write('\n');
  }

  /** Ctrl-C. @returns the exit code */
  async interrupt(): Promise<number | null> {
    const ended = once(this.#shell, 'close');
    process.kill(-this.#shell.pid!, 'SIGINT');
    await ended;
    return this.#shell.exitCode;
  }
}

function missing(): string {
  if (process.getuid?.() !== 0) return ' (needs root)';
  try {
    ip('netns', 'add', SPACE);
    ip('netns', 'del', SPACE);
    return '';
  } catch {
    return ' (needs network namespaces)';
  }
}

const why = missing();

describe.skipIf(why !== '')(`the first call of the README${why}`, () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchbay-readme-'));
    // Where packages are missing, `npm start` would install them, which it cannot without a network.
    execFileSync(process.execPath, [
      '-e',
      "import('./scripts/install.mjs').then(({ installPackages }) => installPackages())",
    ]);
    ip('netns', 'add', SPACE);
    ip('-n', SPACE, 'link', 'set', 'lo', 'up');
    // Softphones look for an address other than loopback (here of RFC 5737).
    ip('-n', SPACE, 'link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'router');
    ip('-n', SPACE, 'addr', 'add', '192.0.2.2/24', 'dev', 'lan');
    for (const end of ['lan', 'router']) ip('-n', SPACE, 'link', 'set', end, 'up');
    ip('-n', SPACE, 'route', 'add', 'default', 'via', '192.0.2.1');
  });

  afterEach(async () => {
    const pids = (): number[] => ip('netns', 'pids', SPACE).split('\n').filter(Boolean).map(Number);
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
    await until('the end of all', () => pids().length === 0, { withinMs });
    ip('netns', 'del', SPACE);
    rmSync(folder, { recursive: true });
  });

  /** The softphone's folder, with a sound card made of files; baresip writes such a configuration by itself. */
  function softphone(): string {
    const own = join(folder, 'softphone');
    cpSync('examples/softphone', own, { recursive: true });
    writeWav(join(folder, 'tone.wav'), { rate: PHONE_RATE, samples: sine(440, PHONE_RATE)(30 * PHONE_RATE) });
    const config = [
      'module_path /usr/lib/baresip/modules',
      ...['g711', 'aufile', 'aubridge'].map((name) => `module ${name}.so`),
      ...['account', 'menu'].map((name) => `module_app ${name}.so`),
      `audio_source aufile,${join(folder, 'tone.wav')}`,
      'audio_player aubridge,nowhere',
      ...['ausrc', 'auplay'].flatMap((end) => [`${end}_srate ${PHONE_RATE}`, `${end}_channels 1`]),
    ];
    writeFileSync(join(own, 'config'), `${config.join('\n')}\n`);
    writeFileSync(join(own, 'contacts'), '');
    return own;
  }

  /** Asks the gateway from the reader's machine. */
  async function ask(path: string): Promise<Record<string, unknown>> {
    const script = `fetch(process.argv[1], { headers: { authorization: 'Basic ' + btoa('patchbay:patchbay') } })
      .then((response) => response.text()).then((text) => console.log(text))`;
    const url = `http://127.0.0.1:8080/v1/accounts/9900000${path}`;
    const { stdout } = await promisify(execFile)('ip', [...inSpace, process.execPath, '-e', script, url]);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  it('works as it is written', async () => {
    expect(more).toEqual([]);
    const gateway = new Terminal(start!, folder);
    await gateway.shows(/"msg":"ready"/);
    const caller = new Terminal(call!, folder);
    const link = await caller.shows(/^ {2}http:/);
    expect(link).toContain('http://127.0.0.1:8080/#token=');
    const dialled = await caller.shows(/^ {2}baresip /);
    // The README shows how this line begins.
    const [shown] = /baresip -f \S+ -e '\/dial sip:/.exec(section)!;
    expect(dialled.trim().startsWith(shown)).toBe(true);
    const [, token] = /sip:(\S+)@127\.0\.0\.1:5060'$/.exec(dialled)!;
    const { p: id } = JSON.parse(Buffer.from(token!.split('.')[1]!, 'base64url').toString()) as { p: string };

    // `ip netns exec` gives each command mounts of its own.
    const phone = new Terminal(`mount --bind ${softphone()} examples/softphone && ${dialled}`, folder);
    await caller.shows(/The phone is connected, speaks and hears nobody/);
    const { device, subscriptions } = await ask(`/participants/${id}`);
    expect(device).toMatchObject({ kind: 'phone', caller: 'me', streams: [{ mediaTypes: ['AUDIO'] }] });
    expect(subscriptions).toHaveProperty('sessionId');
    caller.enter();
    await caller.shows(/subscribed to nobody/);
    expect(await ask(`/participants/${id}`)).toMatchObject({ subscriptions: {} });
    caller.enter();
    await caller.shows(/subscribed to the page/);
    expect(await ask(`/participants/${id}`)).toMatchObject({
      subscriptions: { participants: [{ participantId: expect.any(String) as string }] },
    });

    expect(await caller.interrupt()).toBe(0);
    await phone.shows(/session closed|terminated/i);
    const code = await gateway.interrupt();
    // On a very busy machine, npm may pass Ctrl-C on more than a second later: that counts as a second one.
    const wasTwice = gateway.lines.some((line) => line.includes('stopping at once'));
    expect(code).toBe(wasTwice ? 1 : 0);
  });
});
