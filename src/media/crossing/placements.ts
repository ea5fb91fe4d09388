import type { CrossingWatcher, MediaPlacement, PipeDoor } from '../door.js';

/** Where the devices of a plane are. Tells a watcher only what has changed. */
export class Placements {
  #watcher: CrossingWatcher | undefined;
  #hosts: readonly PipeDoor[] = [];
  readonly #placed = new Map<string, MediaPlacement>();

  /** Tells a watcher everything now, and from then on what changes. */
  watch(watcher: CrossingWatcher): void {
    this.#watcher = watcher;
    watcher.located({ hosts: this.#hosts, placements: [...this.#placed.values()] });
  }

  /** Replaces the hosts that take pipes from other machines. */
  setHosts(hosts: readonly PipeDoor[]): void {
    this.#hosts = hosts;
    this.#watcher?.hosts(hosts);
  }

  place(deviceId: string, host: string, streamIds: readonly string[]): void {
    const before = this.#placed.get(deviceId);
    const isSame =
      before?.host === host &&
      before.streamIds.length === streamIds.length &&
      before.streamIds.every((streamId, at) => streamId === streamIds[at]);
    if (isSame) return;
    const placement = { deviceId, host, streamIds };
    this.#placed.set(deviceId, placement);
    this.#watcher?.placed(placement);
  }

  remove(deviceId: string): void {
    if (this.#placed.delete(deviceId)) this.#watcher?.removed(deviceId);
  }
}
