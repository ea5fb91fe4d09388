import { EventEmitter } from 'node:events';
import { BrowserEndpoint } from './browser/index.js';
import type { Endpoint, EndpointContext, LiveStream } from './endpoint.js';
import { PhoneEndpoint } from './phone/index.js';
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

/** Makes the plane's endpoints; the transports behind them are shared by the plane's whole life. */
interface EndpointFactory {
  browser(context: EndpointContext, options: OpenBrowserOptions): Promise<BrowserEndpoint>;
  phone(context: EndpointContext): Promise<PhoneEndpoint>;
  load(): MediaLoad;
  counters(): MediaCounters;
  stop(): Promise<void>;
}

interface Entry {
  /** Absent while it is being opened. */
  endpoint: Endpoint | undefined;
  /** Settles when it is open, or could not be opened. */
  opening: Promise<Endpoint>;
  delivery: readonly MediaDelivery[];
  /** What the endpoint was told last, to tell it only of changes. */
  tracks: readonly PublishedTrack[];
}

const sameTracks = (a: readonly PublishedTrack[], b: readonly PublishedTrack[]): boolean =>
  a.length === b.length && a.every((track, i) => track === b[i]);

/** The media plane in this process: endpoints by the ids of their devices, the streams between them, and deliveries. */
export class LocalMediaPlane extends EventEmitter<MediaEvents> implements MediaPlane {
  readonly #options: MediaPlaneOptions;
  readonly #factory: EndpointFactory;
  readonly #streams = new StreamRegistry();
  readonly #entries = new Map<string, Entry>();
  /** Devices inside a call of ours: their stream changes are the call's result, not an event. */
  readonly #answering = new Set<string>();

  constructor(options: MediaPlaneOptions, factory: EndpointFactory) {
    super();
    this.#options = options;
    this.#factory = factory;
  }

  async openBrowser(options: OpenBrowserOptions): Promise<void> {
    await this.#open(options.deviceId, (context) => this.#factory.browser(context, options));
  }

  async publish(deviceId: string, options: PublishOfferOptions): Promise<PublishAnswer> {
    const endpoint = this.#browser(deviceId);
    const answer = await this.#quietly(deviceId, () => endpoint.publish(options));
    return { ...answer, streams: this.#streams.of(deviceId).map(describeStream) };
  }

  async answerSubscribe(deviceId: string, sdpAnswer: string): Promise<void> {
    await this.#browser(deviceId).answerSubscribe(sdpAnswer);
  }

  async resumeBrowser(deviceId: string): Promise<void> {
    await this.#browser(deviceId).resume();
  }

  async openPhone(options: OpenPhoneOptions): Promise<PhoneDescription> {
    const endpoint = await this.#open(options.deviceId, (context) => this.#factory.phone(context));
    if (options.source) endpoint.signalled(options.source, false);
    try {
      return await this.#quietly(options.deviceId, () => endpoint.describe(options.sdpOffer));
    } catch (error) {
      await this.close(options.deviceId);
      throw error;
    }
  }

  async answerPhone(deviceId: string, sdpAnswer: string): Promise<PhoneDescription> {
    const endpoint = this.#phone(deviceId);
    return this.#quietly(deviceId, () => endpoint.answer(sdpAnswer));
  }

  async updatePhone(deviceId: string, sdpOffer?: string): Promise<PhoneDescription> {
    const endpoint = this.#phone(deviceId);
    return this.#quietly(deviceId, () => endpoint.describe(sdpOffer));
  }

  async confirmPhone(deviceId: string, source: PhoneSource): Promise<void> {
    if (this.#entries.get(deviceId)?.endpoint) this.#phone(deviceId).signalled(source, true);
    return Promise.resolve();
  }

  async sendDtmf(deviceId: string, dtmf: MediaDtmf): Promise<void> {
    this.#phone(deviceId).sendDtmf(dtmf);
    return Promise.resolve();
  }

  async setDelivery(deviceId: string, delivery: readonly MediaDelivery[]): Promise<void> {
    const entry = known(this.#entries.get(deviceId), deviceId);
    entry.delivery = delivery;
    this.#refresh(entry);
    return Promise.resolve();
  }

  async statistics(deviceId: string): Promise<DeviceStatistics> {
    return Promise.resolve(this.#endpoint(deviceId).statistics());
  }

  load(): MediaLoad {
    return this.#factory.load();
  }

  counters(): MediaCounters {
    return this.#factory.counters();
  }

  async close(deviceId: string): Promise<void> {
    const entry = this.#entries.get(deviceId);
    if (!entry) return;
    this.#entries.delete(deviceId);
    this.#replaceStreams(deviceId, []);
    // What could not be opened needs no closing; whoever opens it learns why.
    const endpoint = entry.endpoint ?? (await entry.opening.catch(() => undefined));
    await endpoint?.close();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((id) => this.close(id)));
    await this.#factory.stop();
  }

  /** @throws MediaError INVALID_STATE when the device is open already, or is closed meanwhile */
  async #open<E extends Endpoint>(
    deviceId: string,
    make: (context: EndpointContext) => Promise<E>,
  ): Promise<E> {
    if (this.#entries.has(deviceId)) {
      throw new MediaError('INVALID_STATE', `Device ${deviceId} is open already.`);
    }
    const opening = make(this.#context(deviceId));
    const entry: Entry = { endpoint: undefined, opening, delivery: [], tracks: [] };
    this.#entries.set(deviceId, entry);
    const isOpen = (): boolean => this.#entries.get(deviceId) === entry;
    try {
      const endpoint = await opening;
      if (!isOpen()) throw new MediaError('INVALID_STATE', `Device ${deviceId} was closed while it opened.`);
      entry.endpoint = endpoint;
      this.#refresh(entry);
      return endpoint;
    } catch (error) {
      if (isOpen()) this.#entries.delete(deviceId);
      throw error;
    }
  }

  #context(deviceId: string): EndpointContext {
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
    for (const entry of this.#entries.values()) if (receivesAny(entry, changed)) this.#refresh(entry);
  }

  #refresh(entry: Entry): void {
    // What is being opened is told when it is open.
    if (!entry.endpoint) return;
    const tracks = this.#streams.resolve(entry.delivery);
    if (sameTracks(tracks, entry.tracks)) return;
    entry.tracks = tracks;
    entry.endpoint.setTracks(tracks);
  }

  async #quietly<T>(deviceId: string, action: () => Promise<T>): Promise<T> {
    this.#answering.add(deviceId);
    try {
      return await action();
    } finally {
      this.#answering.delete(deviceId);
    }
  }

  #endpoint(deviceId: string): Endpoint {
    return known(this.#entries.get(deviceId)?.endpoint, deviceId);
  }

  #browser(deviceId: string): BrowserEndpoint {
    const endpoint = this.#endpoint(deviceId);
    return known(endpoint instanceof BrowserEndpoint ? endpoint : undefined, deviceId);
  }

  #phone(deviceId: string): PhoneEndpoint {
    const endpoint = this.#endpoint(deviceId);
    return known(endpoint instanceof PhoneEndpoint ? endpoint : undefined, deviceId);
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
