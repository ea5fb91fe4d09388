import { readdir, readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import { inNetworks, networkOf } from '../shared/index.js';

const COUNT_EVERY_MS = 1_000;
/** Fewer than this are soon gone: a page takes one descriptor, a phone two, and the store and its threads dozens. */
const FEW = 8_192;
/** Parts of the limit: what is above is kept for REST and SIP, then for SIP and files, and then for files alone. */
const FOR_BROWSERS = 0.7;
const FOR_HTTP = 0.85;
/** A call takes two for its media; the rest is for the store and for requests within calls. */
const FOR_CALLS = 0.93;
/** HTTP connections of one address, those that became WebSockets included. */
const PER_ADDRESS = 1_000;

/** Counts the file descriptors of the process, so that new sockets are refused while there are some left. */
export class Descriptors {
  readonly #limit: number;
  #open: number;
  /** Opened since the last count. */
  #since = 0;

  /** @param limit Infinity where there is none to be found out */
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

  /** One that was opened since the last count is given up. */
  refused(): void {
    this.#since -= 1;
  }
}

/** Watches those of this process; elsewhere than on Linux there is no bound. */
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
    help: 'File descriptors of the process: open, and the most that there may be',
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
  /** Proxies: their connections are those of many. */
  readonly trustedProxies: readonly string[];
  readonly perAddress?: number;
}

/** Hangs up on HTTP connections that are too many: for one address, or for the process. */
export function guardConnections(options: GuardOptions): void {
  const { server, descriptors, metrics, trustedProxies, perAddress = PER_ADDRESS } = options;
  const isProxy = inNetworks(trustedProxies);
  const byAddress = new Map<string, number>();
  const refused = new Counter({
    name: 'patchbay_http_connections_refused_total',
    help: 'HTTP connections hung up on: too many of one address, or too few file descriptors left',
    labelNames: ['reason'],
    registers: [metrics],
  });
  for (const reason of ['address', 'descriptors']) refused.inc({ reason }, 0);
  const refuse = (socket: Socket, reason: string): void => {
    refused.inc({ reason });
    // A flood of refused connections must not seem to take what is kept for others.
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
