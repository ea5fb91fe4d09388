import type { Log } from '../shared/index.js';
import type { PublishedTrack } from './track.js';
import type { DeviceStatistics, MediaPlaneOptions, StreamLevelInfo } from './types.js';

/** A stream that is live in this plane, with its tracks (at most one of each kind). */
export interface LiveStream {
  readonly streamId: string;
  readonly publisherMsid?: string;
  readonly tracks: readonly PublishedTrack[];
}

/** What the plane gives each of its endpoints. */
export interface EndpointContext<Event> {
  readonly deviceId: string;
  readonly options: MediaPlaneOptions;
  readonly log: Log;
  /** Whether levels are wanted now even of what has to be decoded for nothing else: as in the device's spec, or watched. */
  readonly metersSpeech: () => boolean;
  /** Replaces the full set of streams that this device publishes. */
  setStreams(streams: readonly LiveStream[]): void;
  /** Sends an event to whoever opened the device. */
  emit(event: Event): void;
}

/** One device's end in the media plane. */
export interface Endpoint {
  /**
   * Replaces the full set of tracks to receive. Returns at once.
   * @param levelling whether the talkers' levels are evened where they are mixed
   */
  setTracks(tracks: readonly PublishedTrack[], levelling: boolean): void;
  statistics(): DeviceStatistics;
  /** How loud what it publishes has been since the last call, where that is known. */
  takeLevels(): readonly StreamLevelInfo[];
  /** Frees sockets, timers and native objects; ends the device's tracks. */
  close(): Promise<void>;
}
