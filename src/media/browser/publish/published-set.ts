import { randomUUID } from 'node:crypto';
import type { LiveStream } from '../../endpoint.js';
import type { MediaKind } from '../../types.js';
import { streamKey } from '../sdp/publish-answer.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { Uplink } from './uplink.js';
import type { UplinkOptions } from './uplink.js';

/** What all uplinks of a connection share. */
type UplinkConnection = Pick<UplinkOptions, 'localSsrc' | 'send' | 'onDigit'>;

interface Publication {
  readonly streamId: string;
  readonly publisherMsid?: string;
  readonly uplinks: Map<MediaKind, Uplink>;
}

/** What a browser publishes now: streams of uplinks, kept from offer to offer as long as they are in it. */
export class PublishedSet {
  readonly #connect: UplinkConnection;
  #publications = new Map<string, Publication>();

  constructor(connect: UplinkConnection) {
    this.#connect = connect;
  }

  get uplinks(): Uplink[] {
    return [...this.#publications.values()].flatMap(({ uplinks }) => [...uplinks.values()]);
  }

  get streams(): LiveStream[] {
    return [...this.#publications.values()].map(({ streamId, publisherMsid, uplinks }) => ({
      streamId,
      ...(publisherMsid === undefined ? {} : { publisherMsid }),
      tracks: [...uplinks.values()].map((uplink) => uplink.track),
    }));
  }

  /** Follows an offer: tracks that are not in it end, and the others keep their stream id. */
  update(accepted: readonly AcceptedMedia[]): void {
    const before = this.#publications;
    const kept = new Set<Uplink>();
    this.#publications = new Map();
    for (const media of accepted) {
      const key = streamKey(media.section);
      const publication = this.#publications.get(key) ?? this.#publication(key, media, before.get(key));
      this.#publications.set(key, publication);
      const uplink = this.#uplink(publication, media, before.get(key)?.uplinks.get(media.section.kind));
      kept.add(uplink);
      publication.uplinks.set(media.section.kind, uplink);
    }
    for (const { uplinks } of before.values()) {
      for (const uplink of uplinks.values()) if (!kept.has(uplink)) uplink.close();
    }
  }

  #publication(key: string, media: AcceptedMedia, before: Publication | undefined): Publication {
    const msid = media.section.msid?.stream;
    return {
      streamId: before?.streamId ?? randomUUID(),
      ...(msid === key ? { publisherMsid: msid } : {}),
      uplinks: new Map(),
    };
  }

  #uplink(publication: Publication, media: AcceptedMedia, before: Uplink | undefined): Uplink {
    if (before && sameFormat(before.media, media)) {
      before.update(media);
      return before;
    }
    return new Uplink({ ...this.#connect, media, streamId: publication.streamId });
  }
}

function sameFormat(a: AcceptedMedia, b: AcceptedMedia): boolean {
  return (
    a.codec.name === b.codec.name && a.codec.clockRate === b.codec.clockRate && a.codec.fmtp === b.codec.fmtp
  );
}
