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

  /** The device that a participant's client object has here. */
  find(participantId: string, uniqueId: string): BrowserDevice | undefined {
    const device = this.#byParticipant.get(participantId);
    return device?.info.externalId === uniqueId ? device : undefined;
  }

  /**
   * Ends all devices: the gateway is going down. None is offered what the others' going changes: an answer to
   * that would be on its way when the socket closes, and its page would wait for ever for the acknowledgement.
   */
  stop(): void {
    const devices = [...this.#byId.values()];
    for (const device of devices) device.offerNoMore();
    for (const device of devices) device.shutdown();
  }
}

/** Counts the sockets of each address, so that none takes them all. */
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

  /** @returns what gives the place back, to be called once; undefined when there is none to be had */
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
