import type { ConnectedDevice } from './core.js';
import { sameDelivery } from './deliveries.js';
import { orderedMediaTypes } from './rules.js';
import type {
  DeliveredStream,
  Delivery,
  Device,
  DeviceQuality,
  MediaFormat,
  MediaFormats,
  MediaType,
  OmittedTrack,
  PublishedStream,
  StreamSpeech,
} from './types.js';

/** A stream that is published now, with its place in the order of publishing. */
interface LiveStream {
  readonly stream: DeliveredStream;
  readonly order: number;
}

/** A connected device and what it publishes and receives now. */
export class DeviceState {
  readonly participantId: string;
  readonly device: Device;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  signallingLost = false;
  held = false;
  /** Its levels are wanted. */
  isWatched = false;
  /** Tracks of the delivery that the device cannot be sent, as it said last. */
  omitted: readonly OmittedTrack[] = [];
  /** The last that was measured. */
  quality: DeviceQuality | undefined;
  #streams: readonly LiveStream[] = [];
  #isSuppressed = false;
  #announcements: Delivery = [];
  #delivery: Delivery = [];
  #lastFormats: MediaFormats = {};
  /** By the ids of streams in which somebody has spoken. */
  readonly #speech = new Map<string, StreamSpeech>();

  constructor(participantId: string, device: Device, connectedAt: number) {
    this.participantId = participantId;
    this.device = device;
    this.connectedAt = connectedAt;
    this.learnFormats();
  }

  /** The last known of each direction. */
  get lastFormats(): MediaFormats {
    return this.#lastFormats;
  }

  /** Takes how the device's media are carried now. @returns whether {@link lastFormats} changed */
  learnFormats(): boolean {
    const before = this.#lastFormats;
    const { received = before.received, sent = before.sent } = this.device.formats;
    if (sameFormat(received, before.received) && sameFormat(sent, before.sent)) return false;
    this.#lastFormats = { received, sent };
    return true;
  }

  get streams(): readonly LiveStream[] {
    return this.#streams;
  }

  /** What it publishes and receives, as `SessionControl.device` shows it. */
  media(): Pick<ConnectedDevice, 'streams' | 'delivery' | 'omitted' | 'formats' | 'quality' | 'held'> {
    const streams = this.#streams.map(({ stream: { streamId, alias, mediaTypes } }) => ({
      streamId,
      ...(alias === undefined ? {} : { alias }),
      mediaTypes,
      ...this.#speech.get(streamId),
    }));
    const held = this.device.capabilities.hold ? { held: this.held } : {};
    const { formats } = this.device;
    const quality = this.quality ? { quality: this.quality } : {};
    return { streams, delivery: this.#delivery, omitted: this.omitted, formats, ...quality, ...held };
  }

  /**
   * Replaces the streams. One that goes on keeps its place and, unless it changed, its object.
   * @param nextOrder gives the place of a stream that is new
   * @returns whether anything changed
   */
  publish(
    published: readonly PublishedStream[],
    permissions: readonly MediaType[],
    nextOrder: () => number,
  ): boolean {
    const before = this.#streams;
    const known = new Map(before.map((live) => [live.stream.streamId, live]));
    this.#streams = published
      .flatMap((stream) => permitted(stream, this.participantId, permissions) ?? [])
      .map((stream) => {
        const old = known.get(stream.streamId);
        if (!old) return { stream, order: nextOrder() };
        return sameStream(old.stream, stream) ? old : { stream, order: old.order };
      });
    this.#markSuppressed();
    for (const streamId of this.#speech.keys())
      if (!this.#streams.some((live) => live.stream.streamId === streamId)) this.#speech.delete(streamId);
    return before.length !== this.#streams.length || this.#streams.some((live, i) => live !== before[i]);
  }

  /** Sets whether its noise is suppressed, in the oldest of its streams with audio. @returns whether a stream changed */
  suppress(isSuppressed: boolean): boolean {
    this.#isSuppressed = isSuppressed;
    return this.#markSuppressed();
  }

  #markSuppressed(): boolean {
    const before = this.#streams;
    const audio = before.filter(({ stream }) => stream.mediaTypes.includes('audio'));
    const oldest = Math.min(...audio.map(({ order }) => order));
    this.#streams = before.map((live) => {
      const { noiseSuppression = false, ...stream } = live.stream;
      const isWanted = this.#isSuppressed && live.order === oldest;
      if (noiseSuppression === isWanted) return live;
      return { order: live.order, stream: isWanted ? { ...stream, noiseSuppression: true } : stream };
    });
    return this.#streams.some((live, i) => live !== before[i]);
  }

  /** Takes what is said in a stream. @returns the stream; undefined when that changes nothing, or it is none of the device's */
  heard(streamId: string, { isSpeaking, levelDb }: StreamSpeech): DeliveredStream | undefined {
    const before = this.#speech.get(streamId);
    if ((before?.isSpeaking ?? false) === isSpeaking) return undefined;
    const stream = this.#streams.find((live) => live.stream.streamId === streamId)?.stream;
    if (stream)
      this.#speech.set(streamId, { ...before, isSpeaking, ...(levelDb !== undefined && { levelDb }) });
    return stream;
  }

  /** What the gateway itself plays to it. */
  get announcements(): Delivery {
    return this.#announcements;
  }

  /** Replaces the announcements. One that goes on keeps its object. */
  announce(streamIds: readonly string[]): void {
    this.#announcements = streamIds.map(
      (streamId) =>
        this.#announcements.find((known) => known.streamId === streamId) ?? this.#announcement(streamId),
    );
  }

  #announcement(streamId: string): DeliveredStream {
    const { participantId } = this;
    return { streamId, alias: 'announcement', mediaTypes: ['audio'], participantId, announcement: true };
  }

  /** Whether a stream is in its delivery. */
  receives(streamId: string): boolean {
    return this.#delivery.some((stream) => stream.streamId === streamId);
  }

  /** Sets the delivery. @returns whether it differs from the one before, so that the device must be told */
  redirect(delivery: Delivery): boolean {
    if (sameDelivery(this.#delivery, delivery)) return false;
    this.#delivery = delivery;
    return true;
  }
}

function permitted(
  { streamId, alias, mediaTypes }: PublishedStream,
  participantId: string,
  permissions: readonly MediaType[],
): DeliveredStream | undefined {
  const granted = orderedMediaTypes(mediaTypes.filter((type) => permissions.includes(type)));
  if (granted.length === 0) return undefined;
  return { streamId, ...(alias === undefined ? {} : { alias }), mediaTypes: granted, participantId };
}

function sameStream(one: DeliveredStream, other: DeliveredStream): boolean {
  return one.alias === other.alias && one.mediaTypes.join() === other.mediaTypes.join();
}

function sameFormat(one: MediaFormat | undefined, other: MediaFormat | undefined): boolean {
  return one?.encryption === other?.encryption && one?.codecs.join() === other?.codecs.join();
}
