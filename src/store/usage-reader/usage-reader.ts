import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PatchbayError } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import type { ReaderJob, ReaderResults } from './queries.js';

/** Reads of one account that may wait, including the one under way. */
const MAX_WAITING = 8;
/** The process ends after this long without work. */
const IDLE_MS = 30_000;
/** A read that takes longer is given up, so that others get their turn. */
const LIMIT_MS = 120_000;
const HEAP_MB = 256;

/** Reads usage without blocking the gateway. */
export interface UsageReader {
  /**
   * Does one job.
   * @param owner whose job it is: owners take turns
   * @throws PatchbayError TOO_MANY_REQUESTS, OVERLOADED, SHUTTING_DOWN
   */
  read<K extends ReaderJob['kind']>(
    owner: string,
    job: ReaderJob & { readonly kind: K },
  ): Promise<ReaderResults[K]>;
  close(): Promise<void>;
}

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
  readonly #waiting = new Map<string, Waiting[]>();
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
    const line = this.#waiting.get(owner) ?? [];
    if (line.length + (this.#current?.owner === owner ? 1 : 0) >= MAX_WAITING) {
      return Promise.reject(
        new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', 'Too many reports of the account are in progress.'),
      );
    }
    this.#waiting.set(owner, line);
    return new Promise((resolve, reject) => {
      line.push({ job, found: [], resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const line of this.#waiting.values()) for (const { reject } of line) reject(goingDown());
    this.#waiting.clear();
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
    const next = this.#waiting.entries().next();
    if (next.done) {
      this.#timer = setTimeout(() => this.#child?.kill('SIGKILL'), IDLE_MS).unref();
      return;
    }
    const [owner, line] = next.value;
    this.#waiting.delete(owner);
    const job = line.shift()!;
    if (line.length > 0) this.#waiting.set(owner, line);
    this.#current = { ...job, owner };
    this.#child ??= this.#start();
    this.#child.send(job.job);
    this.#timer = setTimeout(() => this.#child?.kill('SIGKILL'), LIMIT_MS).unref();
  }

  #start(): ChildProcess {
    const source = import.meta.url.endsWith('.ts');
    const main = fileURLToPath(new URL(source ? './main.ts' : './main.js', import.meta.url));
    const child = fork(main, [this.#path], {
      // Inherited pipes would stay open in the child.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Unit tests run it from the TypeScript sources.
      execArgv: [...(source ? ['--import', 'tsx'] : []), `--max-old-space-size=${HEAP_MB}`],
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
      this.#current = undefined;
      current.resolve(current.found as never);
      this.#next();
    }
  }

  #ended(child: ChildProcess, how: object): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#current) this.#fail(how);
  }

  #fail(how: object): void {
    const current = this.#current;
    this.#current = undefined;
    if (this.#closed) current?.reject(goingDown());
    else {
      this.#log.error({ ...how, job: current?.job.kind, account: current?.owner }, 'usage could not be read');
      current?.reject(new PatchbayError('PATCHBAY_OVERLOADED', 'The report could not be made.'));
      this.#next();
    }
  }
}

function goingDown(): PatchbayError {
  return new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is shutting down.');
}
