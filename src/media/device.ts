import type { PublishedTrack } from './track.js';
import type {
  DeviceStatistics,
  MediaDtmf,
  MediaEvents,
  MediaPlaneOptions,
  PhoneDescription,
  PhoneSource,
  PublishAnswer,
  PublishOfferOptions,
} from './types.js';

/** A stream that is live in this plane, with its tracks (at most one of each kind). */
export interface LiveStream {
  readonly streamId: string;
  readonly publisherMsid?: string;
  readonly tracks: readonly PublishedTrack[];
}

/** What the plane gives each of its devices. */
export interface DeviceContext {
  readonly deviceId: string;
  readonly options: MediaPlaneOptions;
  /** Replaces the full set of streams that this device publishes. */
  setStreams(streams: readonly LiveStream[]): void;
  /** Says something unasked, to whoever drives the plane. */
  emit<E extends keyof MediaEvents>(event: E, ...args: MediaEvents[E]): void;
}

/** One device's end in the media plane: a phone's RTP leg or a browser's two peer connections. */
export interface MediaDevice {
  /** Replaces the full set of tracks to receive. Returns at once. */
  setTracks(tracks: readonly PublishedTrack[]): void;
  statistics(): DeviceStatistics;
  /** Frees sockets, timers and native objects; ends the device's tracks. */
  close(): Promise<void>;
}

export interface BrowserDevice extends MediaDevice {
  /** Answers an offer, having called `DeviceContext.setStreams`. */
  publish(options: PublishOfferOptions): Promise<Omit<PublishAnswer, 'streams'>>;
  answerSubscribe(sdpAnswer: string): Promise<void>;
  resume(): Promise<void>;
}

export interface PhoneDevice extends MediaDevice {
  /** Takes the phone's offer and answers, or (no offer) makes ours. Calls `DeviceContext.setStreams`. */
  describe(sdpOffer?: string): Promise<PhoneDescription>;
  /** Takes the phone's answer to our offer. */
  answer(sdpAnswer: string): Promise<PhoneDescription>;
  /** Takes where a SIP message of the phone came from. */
  signalled(source: PhoneSource, withinCall: boolean): void;
  /** @throws MediaError TOO_MANY_DIGITS */
  sendDtmf(dtmf: MediaDtmf): void;
}
