import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.js';

const run = promisify(execFile);

const USER = 'patchbay';
const PASSWORD = "it's 100 % s3cret: @/?#";
const START_LIMIT_MS = 30_000;

/** Where Debian puts the programs of the newest version, or nowhere: then they are on the PATH. */
function program(name: string): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Boolean) : [];
  return versions.length === 0 ? name : join(root, String(Math.max(...versions)), 'bin', name);
}

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL refuses to run as root. */
function otherUser(): User {
  if (process.getuid?.() !== 0) return {};
  const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  if (!entry) throw new Error('There is no user postgres: install the package postgresql.');
  return { uid: Number(entry[1]), gid: Number(entry[2]) };
}

export interface PostgresOptions {
  /** Whether commits outlive the end of the machine, too, and not of processes alone. Default: no, which is faster. */
  readonly durable?: boolean;
  readonly settings?: readonly string[];
  /** Has it run on another machine of a network; default: on 127.0.0.1. */
  readonly network?: PostgresNetwork;
}

/** Another machine for PostgreSQL. */
export interface PostgresNetwork {
  /** Its address there. */
  readonly host: string;
  /** Whom it lets in, as a CIDR. */
  readonly clients: string;
  /** A command that runs the rest of its arguments there, as this user. */
  readonly runBy: (user: User) => readonly string[];
}

const running = new Set<PostgresServer>();
process.on('exit', () => {
  for (const server of running) server.killNow();
});

/** A PostgreSQL of its own, on a socket and 127.0.0.1 or another machine, that is killed, paused and started again by tests. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #options: PostgresOptions;
  #process: ChildProcess | undefined;
  #databases = 0;
  readonly #lines: string[] = [];

  private constructor(port: number, folder: string, options: PostgresOptions) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  static async start(options: PostgresOptions = {}): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-postgres-'));
    const { uid, gid } = otherUser();
    if (uid !== undefined) chownSync(folder, uid, gid!);
    chmodSync(folder, 0o755);
    const server = new PostgresServer(await freePort(), folder, options);
    await run(
      program('initdb'),
      ['-D', server.#data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
      { ...otherUser(), cwd: folder },
    );
    writeFileSync(
      join(server.#data, 'pg_hba.conf'),
      `local all postgres trust\nhost all all ${options.network?.clients ?? '127.0.0.1/32'} scram-sha-256\n`,
    );
    await server.again();
    await server.sql(`CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD.replaceAll("'", "''")}'`);
    return server;
  }

  get #host(): string {
    return this.#options.network?.host ?? '127.0.0.1';
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  /** A new, empty database. @returns its URL */
  async database(options = ''): Promise<string> {
    const name = `test_${(this.#databases += 1)}`;
    await this.sql(`CREATE DATABASE ${name} OWNER ${USER} ${options}`);
    return this.url(name);
  }

  url(database: string, { port = this.port, user = USER, password = PASSWORD } = {}): string {
    return `postgres://${user}:${encodeURIComponent(password)}@${this.#host}:${port}/${database}`;
  }

  /** Runs SQL as the superuser. @returns a line for each row, its columns separated by `|` */
  async sql(text: string, database = 'postgres'): Promise<string[]> {
    const { stdout } = await run(program('psql'), [
      ...['-h', this.#folder, '-p', String(this.port), '-U', 'postgres', '-d', database.replace(/^.*\//, '')],
      ...['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', text],
    ]);
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** Takes TLS connections from now on, with PEM files. */
  async serveTls({
    certFile,
    keyFile,
  }: {
    readonly certFile: string;
    readonly keyFile: string;
  }): Promise<void> {
    const { uid, gid } = otherUser();
    for (const [from, name] of [
      [certFile, 'server.crt'],
      [keyFile, 'server.key'],
    ] as const) {
      const file = join(this.#data, name);
      writeFileSync(file, readFileSync(from), { mode: 0o600 });
      if (uid !== undefined) chownSync(file, uid, gid!);
    }
    await this.sql('ALTER SYSTEM SET ssl = on');
    await this.sql('SELECT pg_reload_conf()');
  }

  /** Starts it, the first time or after {@link kill}. */
  async again(): Promise<void> {
    const limit = performance.now() + START_LIMIT_MS;
    while (!(await this.#tryStart())) {
      if (performance.now() > limit) throw new Error(`PostgreSQL does not start:\n${this.log}`);
    }
  }

  /** @returns false when it ended at once, as it does while processes of the one before are still ending */
  async #tryStart(): Promise<boolean> {
    const { durable = false, settings = [], network } = this.#options;
    const all = [
      `listen_addresses=${this.#host}`,
      `port=${this.port}`,
      `unix_socket_directories=${this.#folder}`,
      'shared_buffers=16MB',
      'logging_collector=off',
      ...(durable ? [] : ['fsync=off', 'full_page_writes=off']),
      ...settings,
    ];
    const [command, ...args] = [
      ...(network?.runBy(otherUser()) ?? []),
      ...[program('postgres'), '-D', this.#data, ...all.flatMap((setting) => ['-c', setting])],
    ];
    const child = spawn(command!, args, {
      ...(network ? {} : otherUser()),
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    running.add(this);
    const ready = new Promise<boolean>((resolve) => {
      child.on('exit', () => resolve(false));
      child.stderr.on('data', (chunk: Buffer) => {
        this.#lines.push(String(chunk));
        if (this.#lines.length > 50) this.#lines.shift();
        if (/ready to accept connections/.test(String(chunk))) resolve(true);
      });
    });
    child.stdout.resume();
    return ready;
  }

  /** The end of what it has logged. */
  get log(): string {
    return this.#lines.join('');
  }

  /** The server and the processes of its connections. */
  #pids(): number[] {
    const main = this.#process?.pid;
    if (main === undefined || this.#process?.exitCode !== null) return [];
    const children = readFileSync(`/proc/${main}/task/${main}/children`, 'utf8').trim();
    return [main, ...children.split(' ').filter(Boolean).map(Number)];
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** For the end of the process, where nothing can be waited for. */
  killNow(): void {
    this.#signal('SIGKILL');
  }

  /** SIGKILL to all of it. */
  async kill(): Promise<void> {
    const ended = once(this.#process!, 'exit');
    this.#signal('SIGKILL');
    await ended;
  }

  /** SIGSTOP to all of it: connections stay open, and nobody answers. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  async stop(): Promise<void> {
    running.delete(this);
    this.resume();
    if (this.#process && this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      // Immediate: nothing of it is used again.
      this.#process.kill('SIGQUIT');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The servers that were not stopped. */
export function postgresLeft(): PostgresServer[] {
  return [...running];
}
