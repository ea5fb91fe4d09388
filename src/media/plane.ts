import { EventEmitter } from 'node:events';
import type { BrowserDevice, DeviceContext, LiveStream, MediaDevice, PhoneDevice } from './device.js';
import type { PublishedTrack } from './track.js';
import {
  type DeviceStatistics,
  type MediaCounters,
  type MediaDelivery,
  type MediaDtmf,
  MediaError,
  type MediaEvents,
  type MediaLoad,
  type MediaPlane,
  type MediaPlaneOptions,
  type MediaStreamInfo,
  type OpenBrowserOptions,
  type OpenPhoneOptions,
  type PhoneDescription,
  type PhoneSource,
  type PublishAnswer,
  type PublishOfferOptions,
} from './types.js';

/** Makes the plane's devices; the transports behind them are shared by the plane's whole life. */
interface DeviceFactory {
  browser(context: DeviceContext, options: OpenBrowserOptions): Promise<BrowserDevice>;
  phone(context: DeviceContext): Promise<PhoneDevice>;
  load(): MediaLoad;
  counters(): MediaCounters;
  stop(): Promise<void>;
}

interface Entry<D extends MediaDevice = MediaDevice> {
  readonly device: D;
  delivery: readonly MediaDelivery[];
  /** What the device was told last, to tell it only of changes. */
  tracks: readonly PublishedTrack[];
}

const sameTracks = (a: readonly PublishedTrack[], b: readonly PublishedTrack[]): boolean =>
  a.length === b.length && a.every((track, i) => track === b[i]);

/** The media plane in this process: devices by id, the streams between them, and deliveries. */
export class LocalMediaPlane extends EventEmitter<MediaEvents> implements MediaPlane {
  readonly #options: MediaPlaneOptions;
  readonly #factory: DeviceFactory;
  readonly #streams = new StreamRegistry();
  readonly #browsers = new Map<string, Entry<BrowserDevice>>();
  readonly #phones = new Map<string, Entry<PhoneDevice>>();
  /** Devices inside a call of ours: their stream changes are the call's result, not an event. */
  readonly #answering = new Set<string>();

  constructor(options: MediaPlaneOptions, factory: DeviceFactory) {
    super();
    this.#options = options;
    this.#factory = factory;
  }

  async openBrowser(options: OpenBrowserOptions): Promise<void> {
    this.#requireFree(options.deviceId);
    const device = await this.#factory.browser(this.#context(options.deviceId), options);
    this.#browsers.set(options.deviceId, { device, delivery: [], tracks: [] });
  }

  async publish(deviceId: string, options: PublishOfferOptions): Promise<PublishAnswer> {
    const { device } = this.#browser(deviceId);
    const answer = await this.#quietly(deviceId, () => device.publish(options));
    return { ...answer, streams: this.#streams.of(deviceId).map(describeStream) };
  }

  async answerSubscribe(deviceId: string, sdpAnswer: string): Promise<void> {
    await this.#browser(deviceId).device.answerSubscribe(sdpAnswer);
  }

  async resumeBrowser(deviceId: string): Promise<void> {
    await this.#browser(deviceId).device.resume();
  }

  async openPhone(options: OpenPhoneOptions): Promise<PhoneDescription> {
    this.#requireFree(options.deviceId);
    const device = await this.#factory.phone(this.#context(options.deviceId));
    this.#phones.set(options.deviceId, { device, delivery: [], tracks: [] });
    if (options.source) device.signalled(options.source, false);
    try {
      return await this.#quietly(options.deviceId, () => device.describe(options.sdpOffer));
    } catch (error) {
      await this.close(options.deviceId);
      throw error;
    }
  }

  async answerPhone(deviceId: string, sdpAnswer: string): Promise<PhoneDescription> {
    const { device } = this.#phone(deviceId);
    return this.#quietly(deviceId, () => device.answer(sdpAnswer));
  }

  async updatePhone(deviceId: string, sdpOffer?: string): Promise<PhoneDescription> {
    const { device } = this.#phone(deviceId);
    return this.#quietly(deviceId, () => device.describe(sdpOffer));
  }

  async confirmPhone(deviceId: string, source: PhoneSource): Promise<void> {
    this.#phones.get(deviceId)?.device.signalled(source, true);
    return Promise.resolve();
  }

  async sendDtmf(deviceId: string, dtmf: MediaDtmf): Promise<void> {
    this.#phone(deviceId).device.sendDtmf(dtmf);
    return Promise.resolve();
  }

  async setDelivery(deviceId: string, delivery: readonly MediaDelivery[]): Promise<void> {
    const entry = this.#entry(deviceId);
    entry.delivery = delivery;
    this.#refresh(entry);
    return Promise.resolve();
  }

  async statistics(deviceId: string): Promise<DeviceStatistics> {
    return Promise.resolve(this.#entry(deviceId).device.statistics());
  }

  load(): MediaLoad {
    return this.#factory.load();
  }

  counters(): MediaCounters {
    return this.#factory.counters();
  }

  async close(deviceId: string): Promise<void> {
    const entry = this.#browsers.get(deviceId) ?? this.#phones.get(deviceId);
    if (!entry) return;
    this.#browsers.delete(deviceId);
    this.#phones.delete(deviceId);
    this.#replaceStreams(deviceId, []);
    await entry.device.close();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#browsers.keys(), ...this.#phones.keys()].map((id) => this.close(id)));
    await this.#factory.stop();
  }

  #context(deviceId: string): DeviceContext {
    return {
      deviceId,
      options: this.#options,
      setStreams: (streams) => {
        this.#replaceStreams(deviceId, streams);
        if (this.#answering.has(deviceId)) return;
        this.emit('streams', { deviceId, streams: streams.map(describeStream) });
      },
      emit: (event, ...args) => {
        // EventEmitter's own types cannot follow a generic event name.
        (this.emit as (event: string, ...args: unknown[]) => boolean).call(this, event, ...args);
      },
    };
  }

  #replaceStreams(deviceId: string, streams: readonly LiveStream[]): void {
    const changed = this.#streams.replace(deviceId, streams);
    if (changed.size === 0) return;
    const refreshReceivers = (entry: Entry): void => {
      if (receivesAny(entry, changed)) this.#refresh(entry);
    };
    this.#browsers.forEach(refreshReceivers);
    this.#phones.forEach(refreshReceivers);
  }

  #refresh(entry: Entry): void {
    const tracks = this.#streams.resolve(entry.delivery);
    if (sameTracks(tracks, entry.tracks)) return;
    entry.tracks = tracks;
    entry.device.setTracks(tracks);
  }

  async #quietly<T>(deviceId: string, action: () => Promise<T>): Promise<T> {
    this.#answering.add(deviceId);
    try {
      return await action();
    } finally {
      this.#answering.delete(deviceId);
    }
  }

  #requireFree(deviceId: string): void {
    if (this.#browsers.has(deviceId) || this.#phones.has(deviceId)) {
      throw new MediaError('INVALID_STATE', `Device ${deviceId} is open already.`);
    }
  }

  #entry(deviceId: string): Entry {
    return this.#browsers.get(deviceId) ?? this.#phone(deviceId);
  }

  #browser(deviceId: string): Entry<BrowserDevice> {
    return known(this.#browsers.get(deviceId), deviceId);
  }

  #phone(deviceId: string): Entry<PhoneDevice> {
    return known(this.#phones.get(deviceId), deviceId);
  }
}

/** Asked of everyone, twice for each call that comes and goes: it allocates nothing. */
function receivesAny({ delivery }: Entry, streamIds: ReadonlySet<string>): boolean {
  for (let i = 0; i < delivery.length; i += 1) if (streamIds.has(delivery[i]!.streamId)) return true;
  return false;
}

function known<T>(value: T | undefined, deviceId: string): T {
  if (value === undefined) throw new MediaError('UNKNOWN_DEVICE', `No device ${deviceId} is open.`);
  return value;
}

/** Plain-data description of a live stream. */
function describeStream(stream: LiveStream): MediaStreamInfo {
  return {
    streamId: stream.streamId,
    ...(stream.publisherMsid === undefined ? {} : { publisherMsid: stream.publisherMsid }),
    kinds: stream.tracks.map((track) => track.kind),
  };
}

/** All streams that are live in the plane, and who publishes them. */
class StreamRegistry {
  readonly #byDevice = new Map<string, readonly LiveStream[]>();
  readonly #byId = new Map<string, LiveStream>();

  /**
   * Replaces a device's streams.
   * @returns ids of the streams that came, went or changed tracks
   */
  replace(deviceId: string, streams: readonly LiveStream[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const old of this.of(deviceId)) {
      this.#byId.delete(old.streamId);
      changed.add(old.streamId);
    }
    for (const stream of streams) {
      this.#byId.set(stream.streamId, stream);
      changed.add(stream.streamId);
    }
    if (streams.length === 0) this.#byDevice.delete(deviceId);
    else this.#byDevice.set(deviceId, streams);
    return changed;
  }

  of(deviceId: string): readonly LiveStream[] {
    return this.#byDevice.get(deviceId) ?? [];
  }

  /** The tracks that a delivery amounts to now, in its order. */
  resolve(delivery: readonly MediaDelivery[]): PublishedTrack[] {
    return delivery.flatMap(({ streamId, kinds }) =>
      (this.#byId.get(streamId)?.tracks ?? []).filter((track) => !track.ended && kinds.includes(track.kind)),
    );
  }
}
