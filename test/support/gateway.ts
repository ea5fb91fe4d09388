import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** One line of the gateway's JSON log. */
export type LogLine = Record<string, unknown> & { msg?: string; level?: number };

export interface GatewayOptions {
  /** Environment variables on top of free ports and a data folder of its own. */
  env?: Record<string, string>;
  /** Keeps the data of an earlier gateway (see {@link TestGateway.dataDir}); the caller removes it then. */
  dataDir?: string;
  /** A command that runs the rest of its arguments, such as `ip netns exec`. */
  runBy?: readonly string[];
  /** Whether to keep the log once the gateway is ready, which costs much time under load. Default: true. */
  keepLog?: boolean;
  /** The program; default: the built one. */
  program?: string;
  /** How long the start may take; default 40 s. */
  readyWithinMs?: number;
}

/** A gateway in a process of its own, as an operator would run it. */
export interface TestGateway {
  /** `http://127.0.0.1:port`, or with the `PATCHBAY_HTTP_HOST` that was given. */
  readonly httpUrl: string;
  /** The same with `ws:`: the clients' `websocketUrl`. */
  readonly wsUrl: string;
  readonly httpPort: number;
  readonly sipPort: number;
  readonly webrtcPort: number;
  readonly dataDir: string;
  readonly pid: number;
  /** Everything it has logged so far. */
  readonly log: readonly LogLine[];
  /** Waits for a log line; it may be there already. */
  waitForLog(matches: (line: LogLine) => boolean, withinMs?: number): Promise<LogLine>;
  /** SIGTERM, then waits for the end; the data folder is removed if it was ours. @returns exit code */
  stop(): Promise<number | null>;
  /** SIGKILL, then waits for the end; data stays. */
  kill(): Promise<void>;
  /** SIGUSR2: leaves its calls to the next gateway; then waits for the end. */
  exchange(): Promise<void>;
}

const START_LIMIT_MS = 40_000;
const STOP_LIMIT_MS = 45_000;

/** All gateways of this test file, and the folders that they had. */
const started: { readonly child: ChildProcess; readonly dataDir: string }[] = [];

const listening = (line: LogLine): boolean => line.msg === 'ready';

/**
 * Starts the built gateway on free ports of 127.0.0.1 and waits until it is ready.
 * @throws when it exits or is not ready in time; the message holds its output
 */
export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'patchbay-test-'));
  const { runBy = [], program = 'dist/main.js' } = options;
  const [command, ...args] = [...runBy, process.execPath, program];
  const child = spawn(command, args, {
    env: {
      ...process.env,
      PATCHBAY_HTTP_PORT: '0',
      PATCHBAY_SIP_PORT: '0',
      PATCHBAY_WEBRTC_PORT: '0',
      PATCHBAY_DATA_DIR: dataDir,
      PATCHBAY_LOG_LEVEL: 'debug',
      PATCHBAY_DRAIN_SECONDS: '0',
      // Media hosts have tests of their own, and one pass of others with the default.
      PATCHBAY_MEDIA_HOSTS: process.env['PATCHBAY_MEDIA_HOSTS'] ?? '0',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push({ child, dataDir });
  const output = new Output(child);
  const ready = await output
    .waitFor(listening, options.readyWithinMs ?? START_LIMIT_MS)
    .catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
  if (options.keepLog === false) output.ignore();
  const host = options.env?.['PATCHBAY_HTTP_HOST'] ?? '127.0.0.1';
  const { httpPort, sipPort, webrtcPort } = ready as unknown as Record<string, number>;

  return {
    httpUrl: `http://${host}:${String(httpPort)}`,
    wsUrl: `ws://${host}:${String(httpPort)}`,
    httpPort: httpPort!,
    sipPort: sipPort!,
    webrtcPort: webrtcPort!,
    dataDir,
    pid: child.pid!,
    log: output.lines,
    waitForLog: (matches, withinMs = 20_000) => output.waitFor(matches, withinMs),
    async stop() {
      await endProcess(child, 'SIGTERM');
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
      return child.exitCode;
    },
    kill: () => endProcess(child, 'SIGKILL'),
    exchange: () => endProcess(child, 'SIGUSR2'),
  };
}

/** The processes of media hosts that live for a data folder. */
export function leftHosts(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return command.some((part) => part.endsWith('media-host.js')) && command.includes(dataDir);
      } catch {
        return false; // It has ended meanwhile.
      }
    })
    .map(Number);
}

/** The gateways that this test file has not ended, and the media hosts that live for their data folders. */
export function processesLeft(): number[] {
  const gateways = started.flatMap(({ child }) => (hasEnded(child) ? [] : child.pid!));
  const hosts = [...new Set(started.map(({ dataDir }) => dataDir))].flatMap(leftHosts);
  return [...gateways, ...hosts];
}

/** The next test file begins. The files of a process share this module. */
export function forgetGateways(): void {
  started.length = 0;
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** Starts a gateway that must fail to start. @returns its output and its exit code */
export async function failedStart({
  dataDir,
  env = {},
  runBy = [],
}: GatewayOptions & { dataDir: string }): Promise<{ readonly code: number | null; readonly words: string }> {
  const [command, ...args] = [...runBy, process.execPath, 'dist/main.js'];
  const ports = { PATCHBAY_HTTP_PORT: '0', PATCHBAY_SIP_PORT: '0', PATCHBAY_WEBRTC_PORT: '0' };
  const child = spawn(command, args, {
    env: { ...process.env, ...ports, PATCHBAY_DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // If it starts after all, the test must not hang.
  const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  clearTimeout(limit);
  return { code: child.exitCode, words: output + errors };
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  // Not 'exit': the last of its output may be read after that.
  const ended = once(child, 'close');
  const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  child.kill(signal);
  await ended;
  clearTimeout(limit);
}

/** The log lines of a gateway, and those who wait for one. */
class Output {
  readonly lines: LogLine[] = [];
  readonly #raw: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #streams: readonly Readable[];
  readonly #readers: readonly Interface[];
  #exit: string | undefined;

  constructor(child: ChildProcess) {
    this.#streams = [child.stdout!, child.stderr!];
    this.#readers = this.#streams.map((input) => createInterface({ input }));
    for (const reader of this.#readers) reader.on('line', (text) => this.#add(text));
    child.on('exit', (code, signal) => {
      this.#exit = `gateway exited with ${String(code ?? signal)}`;
      this.#wake();
    });
  }

  /** Goes on reading, so that the gateway is not blocked, but keeps nothing. */
  ignore(): void {
    for (const reader of this.#readers) reader.close();
    for (const stream of this.#streams) stream.resume();
  }

  waitFor(matches: (line: LogLine) => boolean, withinMs: number): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      let seen = 0;
      const finish = (settle: () => void): void => {
        clearTimeout(limit);
        this.#waiting.delete(look);
        settle();
      };
      const fail = (why: string): void => {
        finish(() => reject(new Error(`${why}\n${this.#raw.slice(-40).join('\n')}`)));
      };
      const look = (): void => {
        for (; seen < this.lines.length; seen += 1) {
          const line = this.lines[seen]!;
          if (!matches(line)) continue;
          finish(() => resolve(line));
          return;
        }
        if (this.#exit !== undefined) fail(this.#exit);
      };
      const limit = setTimeout(() => fail(`no such log line within ${String(withinMs)} ms`), withinMs);
      this.#waiting.add(look);
      look();
    });
  }

  #add(text: string): void {
    this.#raw.push(text);
    if (text.startsWith('{')) this.lines.push(JSON.parse(text) as LogLine);
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
