import type { MediaEvents, MediaPlane } from '../../media/index.js';
import type { BrowserDevice } from './browser-device.js';
import { KeyedBuckets, networkOf } from '../../shared/index.js';
import type { BrowserLimits } from './limits.js';

/** The browser devices of the gateway; hands each what the media plane says about it. */
export class DeviceTable {
  readonly #media: MediaPlane;
  readonly #byId = new Map<string, BrowserDevice>();
  readonly #byParticipant = new Map<string, BrowserDevice>();

  constructor(media: MediaPlane) {
    this.#media = media;
    media.on('subscribeOffer', this.#onSubscribeOffer);
    media.on('streams', this.#onStreams);
    media.on('tracksOmitted', this.#onTracksOmitted);
    media.on('dtmf', this.#onDtmf);
    media.on('mediaLost', this.#onMediaLost);
  }

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
    this.#media.off('subscribeOffer', this.#onSubscribeOffer);
    this.#media.off('streams', this.#onStreams);
    this.#media.off('tracksOmitted', this.#onTracksOmitted);
    this.#media.off('dtmf', this.#onDtmf);
    this.#media.off('mediaLost', this.#onMediaLost);
    for (const device of [...this.#byId.values()]) device.shutdown();
  }

  readonly #onSubscribeOffer = (...[offer]: MediaEvents['subscribeOffer']): void => {
    this.#byId.get(offer.deviceId)?.subscribeOffered(offer);
  };

  readonly #onStreams = (...[event]: MediaEvents['streams']): void => {
    this.#byId.get(event.deviceId)?.streamsChanged(event.streams);
  };

  readonly #onTracksOmitted = (...[event]: MediaEvents['tracksOmitted']): void => {
    this.#byId.get(event.deviceId)?.tracksOmitted(event.tracks);
  };

  readonly #onDtmf = (...[event]: MediaEvents['dtmf']): void => {
    this.#byId.get(event.deviceId)?.dtmf(event.digit, event.durationMs);
  };

  readonly #onMediaLost = (...[event]: MediaEvents['mediaLost']): void => {
    this.#byId.get(event.deviceId)?.mediaLost(event.cause);
  };
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
