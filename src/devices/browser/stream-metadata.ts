import type { Delivery, DeliveredStream, PublishedStream } from '../../core/index.js';
import type { MediaDelivery, MediaKind, MediaStreamInfo, PublishAnswer } from '../../media/index.js';
import type { OfferedStreams, StreamMetadata, StreamMetadataMap, WireMediaType } from './messages.js';

const mediaType = (kind: MediaKind): WireMediaType => (kind === 'audio' ? 'AUDIO' : 'VIDEO');
const mediaTypes = (kinds: readonly MediaKind[]): WireMediaType[] => kinds.map(mediaType);

/** What a browser publishes, in the core's words: live streams with the aliases that it offered. */
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
 * Metadata of a publish answer: every offered stream, keyed by the publisher's own id. One of which nothing was
 * granted has no media types (absent, the clients would take it for a data channel).
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

/** What is known of the streams that a browser receives or is about to stop receiving. */
export class ReceivedStreams {
  readonly #known = new Map<string, DeliveredStream>();
  #delivered: ReadonlySet<string> = new Set();

  deliver(delivery: Delivery): void {
    this.#delivered = new Set(delivery.map((stream) => stream.streamId));
    for (const stream of delivery) this.#known.set(stream.streamId, stream);
  }

  /** Metadata of all streams in a subscribe offer; what is neither in it nor delivered is forgotten. */
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
