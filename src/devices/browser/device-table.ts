import type { BrowserDevice } from './browser-device.js';
import { KeyedBuckets, networkOf } from '../../shared/index.js';
import type { BrowserLimits } from './limits.js';

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

/** Limits the sockets of each address, so that one address cannot take them all. */
export class Admission {
  readonly #limits: BrowserLimits;
  readonly #connects: KeyedBuckets;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(limits: BrowserLimits) {
    this.#limits = limits;
    this.#connects = new KeyedBuckets(limits.connects);
  }

  get sockets(): number {
    return this.#total;
  }

  /** @returns a function that releases the place, to be called once; undefined when a limit is reached */
  admit(address: string, now: number): (() => void) | undefined {
    const key = networkOf(address);
    const open = this.#open.get(key) ?? 0;
    if (this.#total >= this.#limits.sockets || open >= this.#limits.socketsPerAddress) return undefined;
    if (!this.#connects.take(key, now)) return undefined;
    this.#open.set(key, open + 1);
    this.#total += 1;
    return () => {
      this.#release(key);
    };
  }

  #release(key: string): void {
    const open = (this.#open.get(key) ?? 1) - 1;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
    this.#total -= 1;
  }
}
