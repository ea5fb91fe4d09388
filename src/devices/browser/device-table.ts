import type { BrowserDevice } from './browser-device.js';

/** The browser devices of the gateway. */
export class DeviceTable {
  readonly #byId = new Map<string, BrowserDevice>();
  readonly #byParticipant = new Map<string, BrowserDevice>();

  get size(): number {
    return this.#byId.size;
  }

  add(device: BrowserDevice): void {
    this.#byId.set(device.info.id, device);
    this.#byParticipant.set(device.participantId, device);
  }

  remove(device: BrowserDevice): void {
    this.#byId.delete(device.info.id);
    if (this.#byParticipant.get(device.participantId) === device) {
      this.#byParticipant.delete(device.participantId);
    }
  }

  /** The device of a participant's client object, if it is connected here. */
  find(participantId: string, uniqueId: string): BrowserDevice | undefined {
    const device = this.#byParticipant.get(participantId);
    return device?.info.externalId === uniqueId ? device : undefined;
  }

  /**
   * Ends all devices because the gateway stops. Offers are stopped first: each device that ends would cause offers to the
   * others, and a page whose answer is under way when its socket closes waits for its acknowledgement for ever.
   */
  stop(): void {
    const devices = [...this.#byId.values()];
    for (const device of devices) device.stopOffers();
    for (const device of devices) device.shutdown();
  }
}
