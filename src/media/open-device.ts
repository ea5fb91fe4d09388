import type { Endpoint, EndpointContext, LiveStream } from './endpoint.js';
import type { PublishedTrack } from './track.js';
import type { DeviceMediaEvent, MediaListener } from './door.js';
import { type MediaDelivery, MediaError, type MediaStreamInfo } from './types.js';

/** The part of the plane that its devices act on. */
interface DevicePlane {
  /** @throws MediaError INVALID_STATE when the plane has a device of that id */
  add(device: OpenDevice): void;
  remove(device: OpenDevice): void;
  /** The tracks that a delivery amounts to now, in its order. */
  resolve(delivery: readonly MediaDelivery[]): PublishedTrack[];
  /** The device's levels are wanted, or not any more. */
  watch(device: OpenDevice, isWatched: boolean): void;
  /** Whether levels are evened in mixes, unless a delivery says otherwise. */
  evensLevels(): boolean;
  /** A device's streams, `before`, were replaced. */
  streamsChanged(device: OpenDevice, before: readonly LiveStream[], now: readonly LiveStream[]): void;
}

const sameTracks = (a: readonly PublishedTrack[], b: readonly PublishedTrack[]): boolean =>
  a.length === b.length && a.every((track, i) => track === b[i]);

/** A device of the plane, from the request to open it until it is closed. */
export class OpenDevice<E extends Endpoint = Endpoint> {
  readonly deviceId: string;
  readonly #plane: DevicePlane;
  readonly #listener: MediaListener<DeviceMediaEvent>;
  #making: Promise<E> | undefined;
  /** Undefined until it is made. */
  #endpoint: E | undefined;
  #opened: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  #isClosed = false;
  #freed: Promise<void> = Promise.resolve();
  #delivery: readonly MediaDelivery[] = [];
  /** The tracks that the endpoint has, so that it is told only of changes. */
  #tracks: readonly PublishedTrack[] = [];
  #levelling: boolean | undefined;
  #streams: readonly LiveStream[] = [];
  /** Requests under way whose results contain the streams: meanwhile no `streams` event is sent. */
  #answering = 0;
  #isWatched = false;
  /** The last `levels` had some. */
  #wasHeard = false;

  constructor(deviceId: string, plane: DevicePlane, listener: MediaListener<DeviceMediaEvent>) {
    this.deviceId = deviceId;
    this.#plane = plane;
    this.#listener = listener;
  }

  /** What the device publishes. */
  get streams(): MediaStreamInfo[] {
    return this.#streams.map(describeStream);
  }

  /**
   * Makes the endpoint. To be called once, before anything else.
   * @param first what to do with the endpoint before the device counts as open
   * @throws MediaError INVALID_STATE by rejection when the device is open already, or is closed meanwhile
   */
  open<T>(make: () => Promise<E>, first: (endpoint: E) => Promise<T>): Promise<T> {
    const opened = this.#open(make, first);
    // A caller that does not wait must not cause an unhandled rejection.
    opened.catch(() => undefined);
    this.#opened = opened;
    return opened;
  }

  /** The context that the endpoint is made with. */
  context<Event>(
    {
      options,
      log,
      metersSpeech,
    }: Pick<EndpointContext<Event>, 'options' | 'log'> & { metersSpeech: boolean },
    listener: MediaListener<Event>,
  ): EndpointContext<Event> {
    return {
      options,
      log,
      metersSpeech: () => metersSpeech || this.#isWatched,
      deviceId: this.deviceId,
      setStreams: (streams) => {
        if (this.#isClosed) return;
        this.#replaceStreams(streams);
        if (this.#answering === 0) this.#listener({ type: 'streams', streams: this.streams });
      },
      emit: (event) => {
        if (!this.#isClosed) listener(event);
      },
    };
  }

  /**
   * @throws MediaError by rejection: UNKNOWN_DEVICE once it is closed, or the error with which opening it
   * failed
   */
  async request<T>(action: (endpoint: E) => T | Promise<T>): Promise<T> {
    if (!this.#isOpen && !this.#isClosed) await this.#opened;
    if (!this.#endpoint || this.#isClosed)
      throw new MediaError('UNKNOWN_DEVICE', `No device ${this.deviceId} is open.`);
    return action(this.#endpoint);
  }

  /** A request whose result contains the device's streams, so that no event is sent for them. */
  negotiate<T>(action: (endpoint: E) => Promise<T>): Promise<T> {
    return this.request((endpoint) => this.#quietly(() => action(endpoint)));
  }

  /** Does something with the endpoint, once it is open. Nothing happens if that fails. */
  soon(action: (endpoint: E) => void): void {
    if (this.#isOpen) this.tell(action);
    else this.request(action).catch(() => undefined);
  }

  /** Does something with the endpoint if there is one now. */
  tell(action: (endpoint: E) => void): void {
    if (this.#endpoint && !this.#isClosed) action(this.#endpoint);
  }

  setDelivery(delivery: readonly MediaDelivery[]): void {
    this.#delivery = delivery;
    this.#refresh();
  }

  /**
   * Streams of the plane changed. Called for every device, twice in the life of each call: it allocates
   * nothing.
   */
  refreshIfReceiving(streamIds: ReadonlySet<string>): void {
    for (let i = 0; i < this.#delivery.length; i += 1) {
      if (!streamIds.has(this.#delivery[i]!.streamId)) continue;
      this.#refresh();
      return;
    }
  }

  watchLevels(isWatched: boolean): void {
    if (this.#isClosed || isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    this.#wasHeard = false;
    // What was loudest before nobody asked for.
    this.tell((endpoint) => void endpoint.takeLevels());
    this.#plane.watch(this, isWatched);
  }

  pushLevels(): void {
    const levels = this.#endpoint?.takeLevels() ?? [];
    if (levels.length > 0 || this.#wasHeard) this.#listener({ type: 'levels', levels });
    this.#wasHeard = levels.length > 0;
  }

  pushStatistics(): void {
    if (!this.#isOpen || !this.#endpoint) return;
    this.#listener({ type: 'statistics', statistics: this.#endpoint.statistics() });
  }

  /** Resolves when it is freed. */
  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#freed = this.#close();
    }
    return this.#freed;
  }

  async #open<T>(make: () => Promise<E>, first: (endpoint: E) => Promise<T>): Promise<T> {
    try {
      this.#plane.add(this);
    } catch (error) {
      // Another device has the id: there is nothing to close.
      this.#isClosed = true;
      throw error;
    }
    try {
      this.#making = make();
      const endpoint = await this.#making;
      this.#requireOpen();
      this.#endpoint = endpoint;
      this.#refresh();
      const result = await this.#quietly(() => first(endpoint));
      this.#requireOpen();
      this.#isOpen = true;
      return result;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #requireOpen(): void {
    if (this.#isClosed)
      throw new MediaError('INVALID_STATE', `Device ${this.deviceId} was closed while it was being opened.`);
  }

  async #close(): Promise<void> {
    this.#plane.remove(this);
    this.#plane.watch(this, false);
    this.#replaceStreams([]);
    this.pushStatistics();
    // An endpoint that could not be made needs no closing; `open` reports the error.
    const endpoint = this.#endpoint ?? (await this.#making?.catch(() => undefined));
    await endpoint?.close();
  }

  #replaceStreams(streams: readonly LiveStream[]): void {
    const before = this.#streams;
    this.#streams = streams;
    this.#plane.streamsChanged(this, before, streams);
  }

  #refresh(): void {
    // A device that is being opened gets its tracks once its endpoint is made.
    if (!this.#endpoint || this.#isClosed) return;
    const tracks = this.#plane.resolve(this.#delivery);
    const said = this.#delivery.find((stream) => stream.levelling !== undefined)?.levelling;
    const levelling = said ?? this.#plane.evensLevels();
    const isHeardAlike = tracks.length === 0 || levelling === this.#levelling;
    if (sameTracks(tracks, this.#tracks) && isHeardAlike) return;
    this.#tracks = tracks;
    this.#levelling = levelling;
    this.#endpoint.setTracks(tracks, levelling);
  }

  async #quietly<T>(action: () => Promise<T>): Promise<T> {
    this.#answering += 1;
    try {
      return await action();
    } finally {
      this.#answering -= 1;
    }
  }
}

/** Plain-data description of a live stream. */
function describeStream(stream: LiveStream): MediaStreamInfo {
  return {
    streamId: stream.streamId,
    ...(stream.publisherMsid === undefined ? {} : { publisherMsid: stream.publisherMsid }),
    kinds: stream.tracks.map((track) => track.kind),
    codecs: stream.tracks.map(({ codec }) => codec.name),
  };
}
