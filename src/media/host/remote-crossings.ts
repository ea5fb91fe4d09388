import type { Log } from '../../shared/index.js';
import { type HostCrossing, NO_CROSSINGS, Placements, sumOfCrossings } from '../crossing/index.js';
import type { CrossingCounters, CrossingWatcher, MediaCrossing, MediaCrossings } from '../door.js';
import type { HostLink } from './link.js';
import type { RemoteDevice } from './remote-device.js';

/** Streams between the media hosts of this gateway and those of others. */
export class RemoteCrossings implements MediaCrossings {
  readonly #pipeHost: string;
  readonly #log: Log;
  readonly #placements = new Placements();
  /** Each host, and what it was told last of each crossing; undefined: nothing by this gateway. */
  readonly #hosts = new Map<HostLink, Map<string, string> | undefined>();
  /** Undefined until it is known: hosts go on as an earlier gateway told them. */
  #wanted: readonly MediaCrossing[] | undefined;
  /** Of hosts that are gone. */
  #past = NO_CROSSINGS;

  constructor(pipeHost: string, log: Log) {
    this.#pipeHost = pipeHost;
    this.#log = log;
  }

  /** A host is there. */
  add(link: HostLink): void {
    this.#hosts.set(link, undefined);
    this.#tellHosts();
    if (this.#wanted) this.#tell(link, this.#wanted);
  }

  /** A host died, or ends. */
  drop(link: HostLink): void {
    if (!this.#hosts.delete(link)) return;
    this.#past = sumOfCrossings(this.#past, { ...link.crossings, connected: 0 });
    this.#tellHosts();
  }

  /** What a device publishes, or its host, has changed. */
  update({ deviceId, link, streams }: RemoteDevice): void {
    this.#placements.place(
      deviceId,
      link.id,
      streams.map(({ streamId }) => streamId),
    );
  }

  remove({ deviceId }: RemoteDevice): void {
    this.#placements.remove(deviceId);
  }

  watch(watcher: CrossingWatcher): void {
    this.#placements.watch(watcher);
  }

  set(crossings: readonly MediaCrossing[]): void {
    this.#wanted = crossings;
    for (const link of this.#hosts.keys()) this.#tell(link, crossings);
  }

  counters(): CrossingCounters {
    return [...this.#hosts.keys()].reduce((sum, { crossings }) => sumOfCrossings(sum, crossings), this.#past);
  }

  #tellHosts(): void {
    const host = this.#pipeHost;
    // A host of an earlier gateway may have no port.
    this.#placements.setHosts(
      [...this.#hosts.keys()].flatMap(({ id, pipePort }) =>
        pipePort === undefined ? [] : { id, host, port: pipePort },
      ),
    );
  }

  /** Tells a host what has changed; the first time everything. */
  #tell(link: HostLink, wanted: readonly MediaCrossing[]): void {
    if (link.pipePort === undefined) return;
    const before = this.#hosts.get(link);
    const told = new Map<string, string>();
    const changed: HostCrossing[] = [];
    for (const { host, ...crossing } of wanted) {
      if (host !== link.id) continue;
      const text = JSON.stringify(crossing);
      told.set(crossing.remote, text);
      if (before?.get(crossing.remote) !== text) changed.push(crossing);
    }
    for (const remote of before?.keys() ?? []) if (!told.has(remote)) changed.push({ remote });
    this.#hosts.set(link, told);
    if (before && changed.length === 0) return;
    link.request('cross', { crossings: changed, isAll: !before }).catch((error: unknown) => {
      // The supervisor replaces a lost host.
      if (!link.isLost)
        this.#log.error({ err: error, host: link.id }, 'A media host did not take its pipes.');
    });
  }
}
