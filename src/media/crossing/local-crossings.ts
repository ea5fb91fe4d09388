import { randomBytes } from 'node:crypto';
import type { Log } from '../../shared/index.js';
import type { CrossingCounters, CrossingWatcher, MediaCrossing, MediaCrossings } from '../door.js';
import type { RemoteStreams } from '../live-streams.js';
import { HostCrossings } from './host-crossings.js';
import { Placements } from './placements.js';

/** Streams between a plane in this process, which counts as one host, and hosts of other gateways. */
export class LocalCrossings implements MediaCrossings {
  readonly #id = randomBytes(8).toString('hex');
  readonly #pipeHost: string;
  readonly #placements = new Placements();
  readonly #crossings: HostCrossings;
  #listening: Promise<void> | undefined;

  /** @param pipeHost where pipes are taken, once somebody watches */
  constructor(pipeHost: string, parts: { readonly streams: RemoteStreams; readonly log: Log }) {
    this.#pipeHost = pipeHost;
    this.#crossings = new HostCrossings(parts);
  }

  watch(watcher: CrossingWatcher): void {
    this.#placements.watch(watcher);
    this.#listening ??= this.#listen();
  }

  set(crossings: readonly MediaCrossing[]): void {
    this.#crossings.set(crossings, true);
  }

  counters(): CrossingCounters {
    return this.#crossings.counters();
  }

  /** A device is there, and publishes these streams. */
  place(deviceId: string, streamIds: readonly string[]): void {
    this.#placements.place(deviceId, this.#id, streamIds);
  }

  remove(deviceId: string): void {
    this.#placements.remove(deviceId);
  }

  async stop(): Promise<void> {
    await this.#listening;
    await this.#crossings.close();
  }

  async #listen(): Promise<void> {
    const port = await this.#crossings.listen(this.#pipeHost);
    if (port !== undefined) this.#placements.setHosts([{ id: this.#id, host: this.#pipeHost, port }]);
  }
}
