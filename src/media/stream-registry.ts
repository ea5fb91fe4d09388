import type { LiveStream } from './device.js';
import type { PublishedTrack } from './track.js';
import type { MediaDelivery, MediaStreamInfo } from './types.js';

/** Plain-data description of a live stream. */
export function describeStream(stream: LiveStream): MediaStreamInfo {
  return {
    streamId: stream.streamId,
    ...(stream.publisherMsid === undefined ? {} : { publisherMsid: stream.publisherMsid }),
    kinds: stream.tracks.map((track) => track.kind),
  };
}

/** All streams that are live in the plane, and who publishes them. */
export class StreamRegistry {
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
