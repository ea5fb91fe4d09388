import type { Connection, OmittedTrack } from '../../core/index.js';
import {
  type BrowserHandle,
  MediaError,
  type MediaStreamInfo,
  type PublishAnswer,
  type RefusedTrack,
} from '../../media/index.js';
import { type Clock, TokenBucket, type Rate } from '../../shared/index.js';
import { RpcError } from './json-rpc.js';
import { type OfferedStreams, readOfferSdp, type StreamMetadataMap } from './messages.js';
import { publishedStreams, publishMetadata } from './stream-metadata.js';

/** Result of `offerSdp`. */
interface PublishResult {
  readonly sdpAnswer: string;
  readonly endpointId: string;
  readonly streamMetadata: StreamMetadataMap;
}

/** Most refused tracks that are remembered. */
const MAX_REFUSED = 128;

/** What one browser publishes: answers its offers one after the other, and tells the core which streams there are. */
export class Publishing {
  readonly #deviceId: string;
  readonly #media: BrowserHandle;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #onRefused: (tracks: readonly OmittedTrack[]) => void;
  readonly #onOffered: () => void;
  readonly #onStreams: (streams: readonly MediaStreamInfo[]) => void;
  #offered: OfferedStreams = new Map();
  #refused: readonly RefusedTrack[] = [];
  /** Settles when the last offer is answered. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    deviceId: string;
    media: BrowserHandle;
    connection: Connection;
    clock: Clock;
    offers: Rate;
    /** The set of refused tracks changed. */
    onRefused: (tracks: readonly OmittedTrack[]) => void;
    /** The page offered other streams, or other aliases. */
    onOffered: () => void;
    /** What the page offered to an earlier gateway, and publishes since. */
    before?: { readonly offered: OfferedStreams; readonly streams: readonly MediaStreamInfo[] };
    /** The set of live streams changed. */
    onStreams: (streams: readonly MediaStreamInfo[]) => void;
  }) {
    this.#deviceId = options.deviceId;
    this.#media = options.media;
    this.#connection = options.connection;
    this.#clock = options.clock;
    this.#bucket = new TokenBucket(options.offers, options.clock.monotonic());
    this.#onRefused = options.onRefused;
    this.#onOffered = options.onOffered;
    this.#onStreams = options.onStreams;
    if (!options.before) return;
    this.#offered = options.before.offered;
    this.streamsChanged(options.before.streams);
  }

  /** What the page offered last. */
  get offered(): OfferedStreams {
    return this.#offered;
  }

  /** @throws RpcError by rejection: bad parameters, too many offers, or an SDP that cannot be answered */
  async offer(params: unknown): Promise<PublishResult> {
    const offer = readOfferSdp(params);
    if (!this.#bucket.take(this.#clock.monotonic())) {
      throw new RpcError('tooMany', 'Too many offers: try again later.');
    }
    const turn = this.#turn.then(() => this.#publish(offer.sdpOffer, offer.streams));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** The set of live streams changed without an offer. */
  streamsChanged(streams: readonly MediaStreamInfo[]): void {
    this.#connection.publish(publishedStreams(streams, this.#offered));
    this.#onStreams(streams);
  }

  async #publish(sdpOffer: string, offered: OfferedStreams): Promise<PublishResult> {
    const { participant } = this.#connection;
    const allowedKinds = participant.publishPermissions;
    const answer = await this.#media.publish({ sdpOffer, allowedKinds }).catch((error: unknown) => {
      throw error instanceof MediaError ? new RpcError('rejected', error.message, { cause: error }) : error;
    });
    this.#offered = offered;
    this.#onOffered();
    this.streamsChanged(answer.streams);
    this.#refuse(answer, offered);
    return {
      sdpAnswer: answer.sdpAnswer,
      endpointId: this.#deviceId,
      streamMetadata: publishMetadata({ ...answer, refused: this.#refused }, offered, participant.id),
    };
  }

  /**
   * Remembers what was refused. Later offers do not repeat a refused m-line, so a track counts as refused for as long
   * as its stream is announced and the track is not accepted.
   */
  #refuse({ streams, refused }: PublishAnswer, offered: OfferedStreams): void {
    const live = (publisherMsid: string): MediaStreamInfo | undefined =>
      streams.find((stream) => stream.publisherMsid === publisherMsid);
    const lasting = this.#refused.filter(
      ({ publisherMsid, kind }) =>
        publisherMsid !== undefined &&
        offered.has(publisherMsid) &&
        live(publisherMsid)?.kinds.includes(kind) !== true &&
        !refused.some((track) => track.publisherMsid === publisherMsid && track.kind === kind),
    );
    if (lasting.length + refused.length + this.#refused.length === 0) return;
    this.#refused = [...lasting, ...refused].slice(-MAX_REFUSED);
    this.#onRefused(
      this.#refused.map(({ publisherMsid = '-', kind, reason }) => ({
        streamId: live(publisherMsid)?.streamId ?? publisherMsid,
        mediaType: kind,
        reason,
      })),
    );
  }
}
