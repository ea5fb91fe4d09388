import type { HistoryEntry, StateChange, StatedDevice } from '../messages.js';
import { changedState, wasAdmitted } from './stated-devices.js';

/** What a device is known by when it connects: an edge that states it may say that it has ended meanwhile. */
export type KnownDevices = ReadonlyMap<string, StatedDevice & { readonly hasEnded?: boolean }>;

/**
 * What an edge tells from its first new device on, while other edges of the leader before have not stated what they have: a
 * device of the same participant that was there before must come first. The history is counted in its order, so all that
 * follows waits too.
 */
export class WaitingHistory {
  #entries: HistoryEntry[] = [];
  /** What the edge has now of the devices that wait. */
  readonly #devices = new Map<string, StatedDevice>();

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  add(entry: HistoryEntry, known: KnownDevices): void {
    const { event } = entry;
    this.#entries.push(entry);
    if (event.type === 'connect') {
      const { id } = event.device.info;
      const device = known.get(id) ?? event.device;
      const hasEnded = known.get(id)?.hasEnded === true;
      if (!hasEnded || wasAdmitted(device)) this.#devices.set(id, device);
    }
    if (event.type !== 'end') return;
    const device = this.#devices.get(event.deviceId);
    if (device && !wasAdmitted(device)) this.#devices.delete(event.deviceId);
  }

  /** @returns whether the device waits */
  change(deviceId: string, change: StateChange): boolean {
    const device = this.#devices.get(deviceId);
    if (device) this.#devices.set(deviceId, { ...device, state: changedState(device.state, change) });
    return device !== undefined;
  }

  /** Whether a device's end waits. */
  hasEndOf(deviceId: string): boolean {
    return this.#entries.some(({ event }) => event.type === 'end' && event.deviceId === deviceId);
  }

  /** Takes all: nothing waits after that. Devices that have ended before anybody connected them are not among those. */
  take(): { readonly entries: readonly HistoryEntry[]; readonly devices: KnownDevices } {
    const taken = { entries: this.#entries, devices: new Map(this.#devices) };
    this.#entries = [];
    this.#devices.clear();
    return taken;
  }
}
