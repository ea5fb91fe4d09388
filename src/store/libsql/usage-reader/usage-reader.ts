import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type Log, programPath, runsFromSource } from '../../../shared/index.js';
import type { ReaderJob, ReaderResults, UsageReader } from '../../usage-queries.js';
import { goingDown, readFailed, Turns } from '../../turns.js';

/** The process ends after this long without work. */
const IDLE_MS = 30_000;
/** A read that takes longer is given up, so that others get their turn. */
const LIMIT_MS = 120_000;
const HEAP_MB = 256;

interface Waiting {
  readonly job: ReaderJob;
  readonly found: unknown[];
  readonly resolve: (found: never) => void;
  readonly reject: (error: Error) => void;
}

type Answer = { readonly found?: readonly unknown[]; readonly done?: true; readonly error?: string };

/**
 * Reads usage in a separate process, one job at a time: the library fetches rows on the calling thread, and a report of
 * a million records takes seconds. The process starts when it is needed, opens nothing for writing, and ends when it
 * has had no work for a while, or with the gateway.
 */
export class UsageReaderProcess implements UsageReader {
  readonly #path: string;
  readonly #log: Log;
  readonly #waiting = new Turns<Waiting>();
  #current: (Waiting & { readonly owner: string }) | undefined;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  read<K extends ReaderJob['kind']>(
    owner: string,
    job: ReaderJob & { readonly kind: K },
  ): Promise<ReaderResults[K]> {
    if (this.#closed) return Promise.reject(goingDown());
    return new Promise((resolve, reject) => {
      this.#waiting.add(owner, { job, found: [], resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.clear()) reject(goingDown());
    const child = this.#child;
    if (!child) return;
    const ended = once(child, 'exit');
    child.ref();
    child.kill('SIGKILL');
    await ended;
  }

  /** Sends the next job, of the owner whose turn it is, if the reader is free. */
  #next(): void {
    if (this.#current) return;
    clearTimeout(this.#timer);
    const next = this.#waiting.next();
    if (!next) {
      this.#timer = setTimeout(() => this.#child?.kill('SIGKILL'), IDLE_MS).unref();
      return;
    }
    const { owner, job } = next;
    this.#current = { ...job, owner };
    this.#child ??= this.#start();
    this.#child.send(job.job);
    this.#timer = setTimeout(() => this.#child?.kill('SIGKILL'), LIMIT_MS).unref();
  }

  #start(): ChildProcess {
    const child = fork(programPath('store/libsql/usage-reader/main'), [this.#path], {
      // Inherited pipes would stay open in the child.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Unit tests run it from the TypeScript sources.
      execArgv: [...(runsFromSource ? ['--import', 'tsx'] : []), `--max-old-space-size=${HEAP_MB}`],
      env: {},
    });
    child.unref();
    child.channel?.unref();
    child.on('message', (answer) => this.#answered(answer as Answer));
    child.on('error', (error) => this.#ended(child, { err: error }));
    child.on('exit', (code, signal) => this.#ended(child, { code, signal }));
    return child;
  }

  #answered({ found, done, error }: Answer): void {
    const current = this.#current;
    if (!current) return;
    if (found) current.found.push(...found);
    if (error !== undefined) this.#fail({ err: error });
    else if (done) {
      this.#release();
      current.resolve(current.found as never);
      this.#next();
    }
  }

  #ended(child: ChildProcess, how: object): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#current) this.#fail(how);
  }

  #release(): void {
    if (this.#current) this.#waiting.done(this.#current.owner);
    this.#current = undefined;
  }

  #fail(how: object): void {
    const current = this.#current;
    this.#release();
    if (this.#closed) current?.reject(goingDown());
    else {
      this.#log.error({ ...how, job: current?.job.kind, account: current?.owner }, 'usage could not be read');
      current?.reject(readFailed());
      this.#next();
    }
  }
}
