/** The interface of the test page, shared by test and page: plain data only. */

export interface ConnectRequest {
  readonly token: string;
  /** The client's `websocketUrl`. */
  readonly gatewayUrl: string;
  readonly iceServers?: readonly {
    readonly urls: readonly string[];
    readonly username?: string;
    readonly credential?: string;
  }[];
  readonly iceTransportPolicy?: 'all' | 'relay';
}

export interface PublishRequest {
  readonly alias?: string;
  /** Frequency (Hz) of the tone in the audio track; absent: no audio track. */
  readonly toneHz?: number;
  /** The tone comes in syllables, as speech does, for a minute at most: until {@link TestPageApi.fallSilent}. */
  readonly syllables?: boolean;
  /** Adds a video track with moving pictures. */
  readonly video?: boolean;
  /** Pictures of 1280 by 720 instead of 320 by 240. */
  readonly large?: boolean;
  /** Adds a video track of 640 by 360 with much motion in it. */
  readonly busy?: boolean;
  /** Rids of layers in which the video is sent, each of half the width of the next; the last has the full size. */
  readonly layers?: readonly string[];
  /** Sends the video in so many layers, as old pages had it: by `a=ssrc-group:SIM`, written into the offer. */
  readonly sources?: number;
  /** Adds a video track of a canvas that changes only by {@link TestPageApi.paint}. */
  readonly still?: boolean;
}

/** What the client's `publish` returned. */
export interface Published {
  readonly streamId: string;
  readonly alias?: string;
  readonly mediaTypes: readonly string[];
}

/** A stream that the client has reported as available and not yet as unavailable. */
export interface ReceivedStream {
  readonly streamId: string;
  readonly participantId?: string;
  readonly alias?: string;
  readonly mediaTypes: readonly string[];
  /** Kinds of the tracks in the MediaStream. */
  readonly kinds: readonly string[];
}

/** One call of onStreamAvailable or onStreamUnavailable, in order. */
export interface StreamEvent {
  readonly type: 'available' | 'unavailable';
  readonly streamId: string;
}

export interface ToneLevel {
  readonly streamId: string;
  readonly participantId?: string;
  readonly alias?: string;
  /** How far (dB) the tone is above the median of the spectrum. */
  readonly prominenceDb: number;
  /** Level of the tone's bin in dBFS. */
  readonly levelDb: number;
}

/** Counters of a received video track. */
export interface VideoCounters {
  readonly framesDecoded: number;
  readonly keyFramesDecoded: number;
  readonly framesDropped: number;
  readonly freezeCount: number;
  readonly totalFreezesSeconds: number;
  /** Time of the picture shown now, in ms by the publisher's clock; absent before its first sender report. */
  readonly playingAt?: number;
  readonly codec?: string;
  readonly width?: number;
  readonly height?: number;
}

/** Counters of a received audio track. */
export interface AudioCounters {
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly totalSamples: number;
  readonly concealedSamples: number;
  readonly totalAudioEnergy: number;
  /** Time of the sound played now, in ms by the publisher's clock; absent before its first sender report. */
  readonly playingAt?: number;
  readonly codec?: string;
}

export interface ReceivedCounters {
  readonly audio?: AudioCounters;
  readonly video?: VideoCounters;
}

/** A peer connection, as the page recorded it. */
export interface PeerState {
  readonly connectionState: string;
  readonly signalingState: string;
  readonly role: 'publish' | 'subscribe' | 'unused';
  /** Candidate types of the pair in use, local and remote. */
  readonly candidatePair?: string;
  /** The remote address of the pair in use. */
  readonly remoteAddress?: string;
  /** The other end takes the level of each audio packet from its header (RFC 6464). */
  readonly takesLevels: boolean;
}

/** Counters of a published video track, all layers together. */
export interface SentVideo {
  readonly bytes: number;
  readonly frames: number;
  /** Of the largest layer. */
  readonly width: number;
  /** Bits per second that the encoder is to make. */
  readonly targetBitrate: number;
  /** Of how many layers pictures have been sent. */
  readonly layers: number;
}

/** A flood of one-byte messages for the gateway, over a data channel of the page's path to publish. */
export interface ChannelFlood {
  /** The client's own diagnostics channel, or one that the page opens. */
  readonly channel: 'diagnostics' | 'own';
  readonly messages: number;
  /** Default: all at once. */
  readonly perSecond?: number;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/** `window.patchbayTest` in the page. Every method settles; none needs a gesture. */
export interface TestPageApi {
  /** Starts connecting; resolves when the client's own `connect` does. */
  connect(request: ConnectRequest): Promise<void>;
  publish(request: PublishRequest): Promise<Published>;
  /**
   * Runs what docs/browsers.md has pages run, which makes `connectAnew`, with `client`, `token`, `websocketUrl` and the
   * `mediaStream` that was published last. @param now calls that, too, and waits for it
   */
  runDocumented(code: string, now: boolean): Promise<void>;
  /** What is published in syllables is silence from now on. */
  fallSilent(): Promise<void>;
  unpublish(streamId?: string): Promise<void>;
  disconnect(): Promise<void>;
  sendDtmf(digits: string, streamId?: string): Promise<void>;
  streams(): Promise<readonly ReceivedStream[]>;
  events(): Promise<readonly StreamEvent[]>;
  tone(hz: number): Promise<readonly ToneLevel[]>;
  counters(streamId: string): Promise<ReceivedCounters>;
  peers(): Promise<readonly PeerState[]>;
  /** Rids of the layers of published video that have been sent. */
  sentLayers(): Promise<readonly string[]>;
  /** What has been sent of published video. */
  sentVideo(): Promise<SentVideo>;
  /** Draws so many frames on the published canvas, which is still otherwise. At the end it has this colour. */
  paint(colour: Colour, frames: number): Promise<void>;
  /** The colour in the middle of a received video; absent while it shows nothing. */
  shown(streamId: string): Promise<Colour | undefined>;
  /** The client's next offer to publish carries new ICE credentials. */
  restartIce(): Promise<void>;
  /** Makes the client believe that its connection to publish has failed. */
  reportPublishFailed(): Promise<void>;
  /** SDP names of the video codecs that this browser can encode. */
  encodableVideo(): Promise<readonly string[]>;
  /** Publishes video with this codec from now on. */
  preferVideo(codec: string): Promise<void>;
  /** Accepts no video with this codec from now on. */
  refuseVideo(codec: string): Promise<void>;
  /** @returns how many were sent before the channel was closed */
  floodChannel(flood: ChannelFlood): Promise<number>;
  /** How many data channels are open, on all paths. */
  openChannels(): Promise<number>;
}
