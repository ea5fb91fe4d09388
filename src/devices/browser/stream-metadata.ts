import type {
  Delivery,
  DeliveredStream,
  MediaFormat,
  MediaFormats,
  PublishedStream,
} from '../../core/index.js';
import type {
  MediaDelivery,
  MediaKind,
  MediaStreamInfo,
  PublishAnswer,
  SubscribeOffer,
} from '../../media/index.js';
import type { OfferedStreams, StreamMetadata, StreamMetadataMap, WireMediaType } from './messages.js';

const mediaType = (kind: MediaKind): WireMediaType => (kind === 'audio' ? 'AUDIO' : 'VIDEO');
const mediaTypes = (kinds: readonly MediaKind[]): WireMediaType[] => kinds.map(mediaType);

/** What a browser publishes, as the core wants it: live streams with the aliases from its offer. */
export function publishedStreams(
  live: readonly MediaStreamInfo[],
  offered: OfferedStreams,
): PublishedStream[] {
  return live
    .filter((stream) => stream.kinds.length > 0)
    .map(({ streamId, publisherMsid, kinds }) => ({
      streamId,
      ...withAlias(offered.get(publisherMsid ?? '')),
      mediaTypes: kinds,
    }));
}

/**
 * Metadata of a publish answer: every offered stream, by the publisher's own id. A stream of which nothing was accepted
 * has an empty list of media types (without the list, clients would take it for a data channel).
 */
export function publishMetadata(
  { streams: live, refused }: Pick<PublishAnswer, 'streams' | 'refused'>,
  offered: OfferedStreams,
  participantId: string,
): StreamMetadataMap {
  const granted = new Map(live.map((stream) => [stream.publisherMsid, stream]));
  const entries = [...offered].map(([msid, alias]): [string, StreamMetadata] => {
    const stream = granted.get(msid);
    const types = mediaTypes(stream?.kinds ?? []);
    const omitted = refused
      .filter(({ publisherMsid }) => publisherMsid === msid)
      .map(({ kind, reason }) => ({ mediaType: mediaType(kind), reason }));
    const about = { endpointId: stream?.streamId ?? msid, mediaTypes: types, participantId };
    return [msid, { ...about, ...withAlias(alias), ...(omitted.length > 0 ? { omitted } : {}) }];
  });
  return Object.fromEntries(entries);
}

/** What is known of the streams that a browser receives, or received until the next offer. */
export class ReceivedStreams {
  readonly #known = new Map<string, DeliveredStream>();
  #delivered: ReadonlySet<string> = new Set();

  deliver(delivery: Delivery): void {
    this.#delivered = new Set(delivery.map((stream) => stream.streamId));
    for (const stream of delivery) this.#known.set(stream.streamId, stream);
  }

  /** Metadata of all streams in a subscribe offer. Forgets streams that are neither in the offer nor in the delivery. */
  metadata(offered: readonly MediaDelivery[]): StreamMetadataMap {
    const inOffer = new Set(offered.map((stream) => stream.streamId));
    for (const id of this.#known.keys()) {
      if (!inOffer.has(id) && !this.#delivered.has(id)) this.#known.delete(id);
    }
    return Object.fromEntries(
      offered.flatMap(({ streamId, kinds }): [string, StreamMetadata][] => {
        const stream = this.#known.get(streamId);
        if (!stream) return [];
        const { alias, participantId } = stream;
        const about = { endpointId: streamId, mediaTypes: mediaTypes(kinds), participantId };
        return [[streamId, { ...about, ...withAlias(alias) }]];
      }),
    );
  }
}

function withAlias(alias: string | undefined): { alias?: string } {
  return alias === undefined ? {} : { alias };
}

/** With which codecs a browser publishes, and with which it was offered to receive last. */
export class BrowserFormats {
  readonly #changed: () => void;
  #received: readonly string[] = [];
  #sent: readonly string[] = [];

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get present(): MediaFormats {
    return { received: byDtls(this.#received), sent: byDtls(this.#sent) };
  }

  receives(streams: readonly MediaStreamInfo[]): void {
    this.#received = streams.flatMap(({ codecs }) => codecs);
    this.#changed();
  }

  /** @returns whether they differ from those before */
  sends({ codecs }: Pick<SubscribeOffer, 'codecs'>): boolean {
    const isNew = codecs.join() !== this.#sent.join();
    this.#sent = codecs;
    this.#changed();
    return isNew;
  }

  /** The codecs of what is sent to the page. */
  get sent(): readonly string[] {
    return this.#sent;
  }
}

/** Browsers send and take nothing but DTLS-SRTP (RFC 8827 section 6.5). */
function byDtls(codecs: readonly string[]): MediaFormat | undefined {
  return codecs.length > 0 ? { codecs: [...new Set(codecs)], encryption: 'DTLS-SRTP' } : undefined;
}
