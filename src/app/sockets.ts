import { readdir, readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import { inNetworks, networkOf } from '../shared/index.js';

const COUNT_EVERY_MS = 1_000;
/** A warning is logged below this limit: a page takes one descriptor, a phone two, the store and its threads dozens. */
const FEW = 8_192;
/** Parts of the limit up to which browsers, REST and phones may open descriptors. The rest is for the store's files. */
const FOR_BROWSERS = 0.7;
const FOR_HTTP = 0.85;
/** A call takes two descriptors for its media. */
const FOR_CALLS = 0.93;
/** Most HTTP connections of one address, including WebSockets. */
const PER_ADDRESS = 1_000;

/** Counts the file descriptors of the process, so that new sockets are refused before there are none left. */
export class Descriptors {
  readonly #limit: number;
  #open: number;
  /** Descriptors opened since the last count. */
  #since = 0;

  /** @param limit Infinity if it is not known */
  constructor(limit: number, open = 0) {
    this.#limit = limit;
    this.#open = open;
  }

  get limit(): number {
    return this.#limit;
  }

  get open(): number {
    return this.#open + this.#since;
  }

  get forBrowsers(): boolean {
    return this.open < this.#limit * FOR_BROWSERS;
  }

  get forHttp(): boolean {
    return this.open < this.#limit * FOR_HTTP;
  }

  get forCalls(): boolean {
    return this.open < this.#limit * FOR_CALLS;
  }

  counted(open: number): void {
    this.#open = open;
    this.#since = 0;
  }

  opened(): void {
    this.#since += 1;
  }

  /** A descriptor that was opened since the last count was closed again. */
  refused(): void {
    this.#since -= 1;
  }
}

/** Counts the descriptors of this process regularly. Without a limit on other systems than Linux. */
export async function watchDescriptors(log: Logger, metrics: Registry) {
  const limit = await descriptorLimit();
  const descriptors = new Descriptors(limit);
  const count = async (): Promise<void> => descriptors.counted((await readdir('/proc/self/fd')).length);
  let timer: NodeJS.Timeout | undefined;
  if (limit !== Infinity) {
    await count();
    timer = setInterval(() => {
      count().catch((error: unknown) => log.warn({ err: error }, 'file descriptors could not be counted'));
    }, COUNT_EVERY_MS).unref();
    if (limit < FEW) {
      log.warn({ limit, wanted: FEW }, 'few file descriptors (ulimit -n): pages and phones may be refused');
    }
  }
  new Gauge({
    name: 'patchbay_descriptors',
    help: 'File descriptors of the process: open ones, and their limit',
    labelNames: ['which'],
    registers: [metrics],
    collect() {
      this.set({ which: 'open' }, descriptors.open);
      this.set({ which: 'limit' }, descriptors.limit);
    },
  });
  return { descriptors, stop: () => clearInterval(timer) };
}

async function descriptorLimit(): Promise<number> {
  if (process.platform !== 'linux') return Infinity;
  const limits = await readFile('/proc/self/limits', 'utf8');
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
}

interface GuardOptions {
  readonly server: Server;
  readonly descriptors: Descriptors;
  readonly metrics: Registry;
  /** Not limited: their connections are those of many clients. */
  readonly trustedProxies: readonly string[];
  readonly perAddress?: number;
}

/** Closes new HTTP connections when an address has too many, or the process too few descriptors left. */
export function guardConnections(options: GuardOptions): void {
  const { server, descriptors, metrics, trustedProxies, perAddress = PER_ADDRESS } = options;
  const isProxy = inNetworks(trustedProxies);
  const byAddress = new Map<string, number>();
  const refused = new Counter({
    name: 'patchbay_http_connections_refused_total',
    help: 'HTTP connections closed at once: too many of one address, or too few file descriptors left',
    labelNames: ['reason'],
    registers: [metrics],
  });
  for (const reason of ['address', 'descriptors']) refused.inc({ reason }, 0);
  const refuse = (socket: Socket, reason: string): void => {
    refused.inc({ reason });
    // The socket is closed: a flood of refused connections must not count as open descriptors.
    descriptors.refused();
    socket.destroy();
  };
  server.on('connection', (socket: Socket) => {
    descriptors.opened();
    const address = socket.remoteAddress ?? '';
    if (!descriptors.forHttp) {
      refuse(socket, 'descriptors');
      return;
    }
    if (isProxy(address)) return;
    const key = networkOf(address);
    const open = byAddress.get(key) ?? 0;
    if (open >= perAddress) {
      refuse(socket, 'address');
      return;
    }
    byAddress.set(key, open + 1);
    socket.once('close', () => {
      const left = byAddress.get(key)! - 1;
      if (left === 0) byAddress.delete(key);
      else byAddress.set(key, left);
    });
  });
}
