import { randomUUID } from 'node:crypto';
import type { LiveStream } from '../../endpoint.js';
import { addFigures, type StreamFigures } from '../../quality/index.js';
import type { MediaKind, StreamLevelInfo } from '../../types.js';
import { type AcceptedMedia, streamKey } from '../sdp/publish-answer.js';
import { Uplink, type UplinkOptions } from './uplink.js';
import { findRtpExtension, rtpPayloadType, rtpSsrc } from '../../rtp/index.js';
import { MID_EXTENSION } from '../sdp/writer.js';

/** What all uplinks of a connection share. */
type UplinkConnection = Omit<UplinkOptions, 'media' | 'streamId'>;

interface Publication {
  readonly streamId: string;
  readonly publisherMsid?: string;
  readonly uplinks: Map<MediaKind, Uplink>;
}

/** What a browser publishes now: streams of uplinks, kept from offer to offer as long as they are in it. */
export class PublishedSet {
  readonly #connect: UplinkConnection;
  #publications = new Map<string, Publication>();
  /** Of the audio tracks that have ended. */
  #past: StreamFigures = { packets: 0 };

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

  /** Of the audio tracks: those that are published, each by itself, and those that were. */
  get audioFigures(): readonly StreamFigures[] {
    const audio = this.uplinks.filter(({ track }) => track.kind === 'audio');
    return [this.#past, ...audio.map((uplink) => uplink.figures)];
  }

  /** How loud the audio has been since the last call, where that is known. */
  takeLevels(): StreamLevelInfo[] {
    return [...this.#publications.values()].flatMap(({ streamId, uplinks }) => {
      const levelDb = uplinks.get('audio')?.takeLevel();
      return levelDb === undefined ? [] : [{ streamId, levelDb }];
    });
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
      for (const uplink of uplinks.values()) if (!kept.has(uplink)) this.#close(uplink);
    }
  }

  #close(uplink: Uplink): void {
    if (uplink.track.kind === 'audio') this.#past = addFigures(this.#past, uplink.figures);
    uplink.close();
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

/** Most SSRCs that are learnt from packets instead of the SDP; no real publisher has more. */
const MAX_LEARNT = 64;

/** Finds the m-line that a packet belongs to (RFC 9143 section 9.2): by SSRC, by MID, by payload type. */
export class Demultiplexer {
  #uplinks: readonly Uplink[] = [];
  #bySsrc = new Map<number, Uplink>();
  #byMid = new Map<string, Uplink>();
  #learnt = 0;
  readonly #span = { offset: 0, length: 0 };

  /** Replaces the m-lines; what was learnt of the old ones is forgotten. */
  update(uplinks: readonly Uplink[]): void {
    this.#uplinks = uplinks;
    this.#byMid = new Map(uplinks.map((uplink) => [uplink.media.section.mid, uplink]));
    this.#bySsrc = new Map(
      uplinks.flatMap((uplink) =>
        [...uplink.media.section.ssrcs, ...uplink.media.section.rtxSsrcs.values()].map(
          (ssrc) => [ssrc, uplink] as const,
        ),
      ),
    );
    this.#learnt = 0;
  }

  /** The m-line of a sender report's SSRC. */
  bySsrc(ssrc: number): Uplink | undefined {
    return this.#bySsrc.get(ssrc);
  }

  find(packet: Buffer, payloadOffset: number): Uplink | undefined {
    const ssrc = rtpSsrc(packet);
    return this.#bySsrc.get(ssrc) ?? this.#learn(ssrc, packet, payloadOffset);
  }

  #learn(ssrc: number, packet: Buffer, payloadOffset: number): Uplink | undefined {
    if (this.#learnt >= MAX_LEARNT) return undefined;
    const uplink = this.#byMidOf(packet, payloadOffset) ?? this.#byPayloadType(rtpPayloadType(packet));
    if (!uplink) return undefined;
    this.#learnt += 1;
    this.#bySsrc.set(ssrc, uplink);
    return uplink;
  }

  #byMidOf(packet: Buffer, payloadOffset: number): Uplink | undefined {
    // The id is the same in all m-lines of a bundle (RFC 8285 section 6).
    const id = this.#uplinks[0]?.media.section.extensions.get(MID_EXTENSION);
    if (id === undefined || !findRtpExtension(packet, payloadOffset, id, this.#span)) return undefined;
    const { offset, length } = this.#span;
    return this.#byMid.get(packet.toString('latin1', offset, offset + length));
  }

  #byPayloadType(payloadType: number): Uplink | undefined {
    const matching = this.#uplinks.filter(({ media }) =>
      [media.codec, media.rtx, media.telephoneEvent].some((format) => format?.payloadType === payloadType),
    );
    return matching.length === 1 ? matching[0] : undefined;
  }
}
