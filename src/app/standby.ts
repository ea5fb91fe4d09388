import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { PatchbayError } from '../core/index.js';
import {
  Follower,
  Lease,
  LeaseTakenError,
  openStore,
  type Store,
  type StoreOptions,
} from '../store/index.js';
import type { Config } from './read-config.js';
import { explainListenError } from './start-error.js';
import type { Teardown } from './teardown.js';
import { VERSION } from './version.js';

/** A gateway that waits to become the leader was told to stop. */
export class StoppedWaiting extends Error {
  override readonly name = 'StoppedWaiting';
}

interface StandbyOptions {
  readonly onDeposed: () => void;
  /** Aborts when the gateway is to stop. */
  readonly quit: AbortSignal;
}

/** The store, and which leader this gateway is. */
interface Leading {
  readonly store: Store;
  readonly lease: {
    readonly epoch: number;
    /** Whether no other gateway can be the leader now. */
    readonly isHeld: () => boolean;
  };
}

/**
 * Opens the store. With PostgreSQL it waits, as a standby, until no other gateway is the leader: then it says `standby` at
 * `/readyz`, and its state is there when its turn comes.
 * @throws StoppedWaiting; StoreError that says what is wrong, and what to do
 */
export async function openStoreAsLeader(
  { postgres: target, http, dataDir }: Pick<Config, 'postgres' | 'http' | 'dataDir'>,
  options: Omit<StoreOptions, 'onDeposed' | 'claim' | 'follower'>,
  teardown: Teardown,
  { onDeposed, quit }: StandbyOptions,
): Promise<Leading> {
  // There is no other.
  if (target === undefined)
    return { store: await openStore(options), lease: { epoch: 1, isHeld: () => true } };
  const { log } = options;
  const holder = `${hostname()} ${await gatewayId(dataDir)}`;
  const lease = await Lease.open({ target, holder, onDeposed, log });
  teardown.add('lease', () => lease.release());
  let follower: Follower | undefined;
  let waiting: WaitingServer | undefined;
  try {
    const leader = await lease.holder();
    if (leader !== undefined) {
      waiting = await WaitingServer.start(http);
      follower = await Follower.start({ target, log });
      log.info({ leader, ...waiting.address }, 'standby');
    }
    for (;;) {
      await lease.whenFree(quit);
      try {
        const store = await openStore({
          ...options,
          onDeposed,
          claim: lease.claim,
          ...(follower && { follower }),
        });
        return { store, lease: { epoch: lease.epoch, isHeld: () => lease.isHeld } };
      } catch (error) {
        if (!(error instanceof LeaseTakenError)) throw error;
      }
    }
  } catch (error) {
    if (quit.aborted) throw new StoppedWaiting('It was told to stop while it waited.', { cause: error });
    throw error;
  } finally {
    await follower?.stop();
    await waiting?.stop();
  }
}

/** Names the gateway of a data folder, the same over restarts. */
async function gatewayId(dataDir: string): Promise<string> {
  const path = join(dataDir, 'gateway-id');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const made = randomBytes(8).toString('hex');
  try {
    await writeFile(path, made, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return (await readFile(path, 'utf8')).trim();
}

/** Answers for a standby: it lives, and takes no requests. */
class WaitingServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  get address(): { readonly httpPort: number } {
    return { httpPort: (this.#server.address() as AddressInfo).port };
  }

  static async start({ host, port }: Config['http']): Promise<WaitingServer> {
    const server = createServer((request, response) => {
      const { status, body } = answerTo(request.url ?? '/');
      response.writeHead(status, {
        'content-type': 'application/json; charset=utf-8',
        ...(status === 503 && { 'retry-after': '1' }),
      });
      response.end(JSON.stringify(body));
      request.resume();
    });
    try {
      server.listen(port, host);
      await once(server, 'listening');
    } catch (error) {
      throw explainListenError(error, { host: 'PATCHBAY_HTTP_HOST', port: 'PATCHBAY_HTTP_PORT' });
    }
    return new WaitingServer(server);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function answerTo(url: string): { readonly status: number; readonly body: object } {
  const [path] = url.split('?', 1);
  if (path === '/healthz') return { status: 200, body: { status: 'alive', version: VERSION } };
  if (path === '/readyz') return { status: 503, body: { status: 'standby' } };
  const {
    code: reason,
    message,
    httpStatus,
  } = new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'This gateway waits to take over from another one: ask that, or this one later.',
  );
  return { status: httpStatus, body: { error: message, message, code: httpStatus, reason } };
}
