import type { ConnectedDevice } from './core.js';
import { sameDelivery } from './deliveries.js';
import { orderedMediaTypes } from './rules.js';
import type { DeliveredStream, Delivery, Device, MediaType, OmittedTrack, PublishedStream } from './types.js';

/** A stream that is published now, with its place in the order of publishing. */
export interface LiveStream {
  readonly stream: DeliveredStream;
  readonly order: number;
}

/** A connected device and what it publishes and receives now. */
export class LiveConnection {
  readonly participantId: string;
  readonly device: Device;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  signallingLost = false;
  held = false;
  /** Tracks of the delivery that the device cannot be sent, as it said last. */
  omitted: readonly OmittedTrack[] = [];
  #streams: readonly LiveStream[] = [];
  #delivery: Delivery = [];

  constructor(participantId: string, device: Device, connectedAt: number) {
    this.participantId = participantId;
    this.device = device;
    this.connectedAt = connectedAt;
  }

  get streams(): readonly LiveStream[] {
    return this.#streams;
  }

  /** What goes out and in, for those who look. */
  media(): Pick<ConnectedDevice, 'streams' | 'delivery' | 'omitted' | 'held'> {
    const streams = this.#streams.map(({ stream: { streamId, alias, mediaTypes } }) => ({
      streamId,
      ...(alias === undefined ? {} : { alias }),
      mediaTypes,
    }));
    const held = this.device.info.kind === 'phone' ? { held: this.held } : {};
    return { streams, delivery: this.#delivery, omitted: this.omitted, ...held };
  }

  /**
   * Replaces the streams. One that goes on keeps its place and, unless it changed, its object.
   * @param nextOrder gives the place of a stream that is new
   * @returns whether anything is different now
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
    return before.length !== this.#streams.length || this.#streams.some((live, i) => live !== before[i]);
  }

  /** Keeps a delivery. @returns whether it differs from the one before, so that the device must be told */
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
