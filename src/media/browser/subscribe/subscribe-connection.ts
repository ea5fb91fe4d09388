import { randomInt } from 'node:crypto';
import { isRtcp } from '../../rtp/index.js';
import type { StreamFigures } from '../../quality/index.js';
import type { PublishedTrack } from '../../track.js';
import {
  type MediaDelivery,
  MediaError,
  type MediaKind,
  type OmittedMediaTrack,
  type SubscribeOffer,
} from '../../types.js';
import type { Downlink, SubscriberLink } from '../forward/downlink.js';
import type { FanoutTable } from '../forward/fanout.js';
import { isMedia, type MediaSection, parseDescription, type Section } from '../sdp/description.js';
import { type OfferedSection, writeSubscribeOffer } from '../sdp/subscribe-offer.js';
import type { TransportFactory } from '../transport/transport.js';
import type { Log } from '../../../shared/index.js';
import { DownlinkSet, SubscriberFeedback } from './downlink-set.js';
import { OfferExchange, type Slot, SubscribeLayout } from './layout.js';
import { SubscriberTransport } from './subscriber-transport.js';

interface SubscribeConnectionOptions {
  readonly transports: TransportFactory;
  readonly fanouts: FanoutTable;
  /** The revision of the first offer minus one. */
  readonly revision: number;
  /** M-lines that the browser has already. */
  readonly layout: readonly MediaKind[];
  readonly onOffer: (offer: SubscribeOffer) => void;
  /** The tracks that cannot be sent to the browser changed. */
  readonly onOmitted: (tracks: readonly OmittedMediaTrack[]) => void;
  /** Something came from the browser. */
  readonly onHeard: () => void;
  /** The transport to the browser is gone; a fresh one is offered as long as that makes sense. */
  readonly onGone: () => void;
  readonly onAbuse: () => void;
  /** A report of the browser could not be true. */
  readonly onReportIgnored: () => void;
  readonly log: Log;
}

interface SentCounts {
  packets: number;
  bytes: number;
}

/** An m-line with a track, as the outstanding offer has it. */
interface OfferedTrackSlot {
  readonly slot: Slot;
  readonly track: PublishedTrack;
  readonly downlink: Downlink;
}

/** The peer connection on which a browser subscribes: we offer and send, it answers. */
export class SubscribeConnection implements SubscriberLink {
  readonly sent: SentCounts = { packets: 0, bytes: 0 };
  readonly #options: SubscribeConnectionOptions;
  readonly #sessionId = String(randomInt(1, 2 ** 47));
  readonly #layout: SubscribeLayout;
  readonly #downlinks: DownlinkSet;
  readonly #feedback: SubscriberFeedback;
  readonly #transport: SubscriberTransport;
  readonly #exchange = new OfferExchange({ send: () => this.#offer() });
  /** Payload types (they stand for codecs) that this browser refused. */
  readonly #refused = new Set<number>();
  #wanted: readonly PublishedTrack[] = [];
  #omitted: readonly OmittedMediaTrack[] = [];
  #offered: readonly OfferedTrackSlot[] = [];
  #offeredMids: readonly string[] = [];
  #revision: number;
  /** The browser never starts another DTLS association on an existing transport. */
  #keepsDtls = false;
  /** The browser has answered us, so that its m-lines have a transport. */
  #bound = false;
  /** Its m-lines may have a transport from before this connection, which is unknown here. */
  #inherited: boolean;

  constructor(options: SubscribeConnectionOptions) {
    this.#options = options;
    this.#revision = options.revision;
    this.#layout = new SubscribeLayout(options.layout);
    this.#inherited = options.layout.length > 0;
    this.#downlinks = new DownlinkSet(options.fanouts, this);
    this.#feedback = new SubscriberFeedback(this.#downlinks, options.onReportIgnored);
    this.#transport = new SubscriberTransport({
      transports: options.transports,
      onPacket: (packet) => {
        options.onHeard();
        if (isRtcp(packet)) this.#feedback.onRtcp(packet);
      },
      onConnected: () => {
        options.onHeard();
        this.#downlinks.requestKeyFrames();
      },
      onGone: () => this.#transportGone(),
      onAbuse: options.onAbuse,
      log: options.log,
    });
    // A browser that already has m-lines has a dead transport: it needs a new one, even without tracks.
    if (options.layout.length > 0) this.#reoffer();
  }

  /** Of the audio that is sent, each track by itself. */
  get audioFigures(): readonly StreamFigures[] {
    return this.#downlinks.audioFigures;
  }

  /** Of the audio track with the longest. */
  get roundTripMs(): number | undefined {
    const known = this.audioFigures.flatMap(({ roundTripMs }) => roundTripMs ?? []);
    return known.length > 0 ? Math.max(...known) : undefined;
  }

  /** Replaces the full set of tracks to send: removed tracks stop at once, new ones follow with an offer. */
  setTracks(tracks: readonly PublishedTrack[]): void {
    this.#wanted = tracks;
    if (this.#place()) this.#reoffer();
  }

  /**
   * Takes the answer to the outstanding offer.
   * @throws MediaError BAD_SDP, INVALID_STATE (no offer outstanding, or the answer is to an older one)
   */
  answer(sdp: string): void {
    if (!this.#exchange.outstanding) throw new MediaError('INVALID_STATE', 'No offer is outstanding.');
    const { sections, transport, origin } = parseDescription(sdp);
    if (!this.#answersOffer(sections)) {
      throw new MediaError('INVALID_STATE', 'The answer has other m-lines than the outstanding offer.');
    }
    this.#keepsDtls = origin.keepsDtls;
    if (this.#inherited && origin.keepsDtls) {
      this.#transport.abandon('the browser keeps its DTLS association from before');
      return;
    }
    this.#inherited = false;
    if (transport) {
      this.#transport.accept(transport, { maybeSame: origin.keepsDtls });
      this.#bound = true;
    }
    const freed = this.#layout.slots.filter(({ withdrawn }) => withdrawn);
    for (const slot of freed) this.#layout.refuse(slot);
    const refused = this.#offered.filter((offered) => !this.#start(offered, sections[offered.slot.index]!));
    for (const { slot } of refused) this.#layout.refuse(slot);
    if (refused.length > 0 || freed.length > 0) {
      const changed = this.#place();
      if (refused.length > 0 || changed) this.#exchange.want();
    }
    this.#exchange.answered();
  }

  /** The browser's socket is back: an offer that may have been lost with the old one is made again. */
  resume(): void {
    this.#transport.resetAttempts();
    if (this.#exchange.abandon() || !this.#transport.local) this.#reoffer();
  }

  close(): void {
    this.#exchange.stop();
    this.#downlinks.close();
    this.#transport.close();
  }

  /** Puts the wanted tracks on m-lines, as far as possible. @returns whether that changed anything */
  #place(): boolean {
    this.#downlinks.retain(this.#wanted);
    const omitted: OmittedMediaTrack[] = [];
    const possible = this.#wanted.filter((track) => {
      const reason = this.#obstacle(track);
      if (reason !== undefined) omitted.push({ streamId: track.streamId, kind: track.kind, reason });
      return reason === undefined;
    });
    const { changed, left } = this.#layout.assign(possible);
    for (const { streamId, kind } of left) omitted.push({ streamId, kind, reason: 'too many m-lines' });
    this.#omit(omitted);
    return changed;
  }

  #omit(tracks: readonly OmittedMediaTrack[]): void {
    const same = ({ streamId, kind, reason }: OmittedMediaTrack, i: number): boolean => {
      const before = this.#omitted[i];
      return before?.streamId === streamId && before.kind === kind && before.reason === reason;
    };
    if (tracks.length === this.#omitted.length && tracks.every(same)) return;
    this.#omitted = tracks;
    this.#options.onOmitted(tracks);
  }

  #obstacle(track: PublishedTrack): string | undefined {
    const codec = this.#downlinks.codecOf(track);
    if (!codec) return `codec ${track.codec.name} is not forwarded`;
    if (this.#refused.has(codec.payloadType)) return `the browser does not take codec ${track.codec.name}`;
    return undefined;
  }

  #reoffer(): void {
    // A browser refuses an offer without any m-line; nothing is offered before the first track.
    if (this.#layout.slots.length === 0) return;
    this.#transport.open().then(
      () => this.#exchange.want(),
      (error: unknown) => this.#options.log.error({ err: error }, 'Subscribe transport did not open'),
    );
  }

  #transportGone(): void {
    this.#exchange.abandon();
    if (this.#keepsDtls && (this.#bound || this.#inherited)) {
      // It makes a new transport, with a new DTLS association, only for new m-lines.
      this.#layout.withdraw();
      this.#place();
      this.#bound = false;
      this.#inherited = false;
    }
    if (!this.#transport.exhausted) this.#reoffer();
    this.#options.onGone();
  }

  #offer(): void {
    const transport = this.#transport.local;
    if (!transport) return;
    this.#revision += 1;
    this.#offeredMids = this.#layout.slots.map(({ mid }) => mid);
    this.#offered = this.#layout.slots.flatMap((slot) => {
      const downlink = slot.track && this.#downlinks.of(slot.track);
      return slot.track && downlink ? [{ slot, track: slot.track, downlink }] : [];
    });
    this.#options.onOffer({
      sdpOffer: writeSubscribeOffer({
        sections: this.#layout.slots.map((slot) => this.#section(slot)),
        bundle: this.#layout.bundle,
        transport,
        session: { sessionId: this.#sessionId, version: this.#revision },
      }),
      revision: this.#revision,
      streams: deliveries(this.#offered.map(({ track }) => track)),
      codecs: [...new Set(this.#offered.map(({ track }) => track.codec.name))],
      layout: this.#layout.kinds,
    });
  }

  #section({ mid, kind, track, withdrawn }: Slot): OfferedSection {
    if (withdrawn) return { mid, kind, withdrawn };
    const fanout = track && this.#downlinks.of(track)?.fanout;
    if (!fanout) return { mid, kind };
    const { codec, ssrc, rtxSsrc } = fanout;
    return { mid, kind, track: { streamId: fanout.track.streamId, codec, ssrc, rtxSsrc } };
  }

  #answersOffer(sections: readonly Section[]): boolean {
    const mids = this.#offeredMids;
    if (sections.length !== mids.length) return false;
    return sections.every(({ rejected, mid }, index) => rejected || mid === mids[index]);
  }

  /** Starts sending a track if the answer accepts it. @returns false when the browser refuses it */
  #start({ slot, track, downlink }: OfferedTrackSlot, section: Section): boolean {
    // The m-line has changed since the offer: the next offer says so.
    if (slot.track !== track) return true;
    const { payloadType, rtxPayloadType, telephoneEventPayloadType } = downlink.fanout.codec;
    if (!isMedia(section) || !takes(section, payloadType)) {
      this.#refused.add(payloadType);
      return false;
    }
    downlink.start({
      retransmissions: takes(section, rtxPayloadType),
      telephoneEvents: takes(section, telephoneEventPayloadType),
    });
    return true;
  }

  /** Whether packets reach the browser now. */
  get isConnected(): boolean {
    return this.#transport.isConnected;
  }

  /** Sends a copy. @returns whether it went out */
  send(packet: Buffer): boolean {
    if (!this.#transport.send(packet)) return false;
    this.sent.packets += 1;
    this.sent.bytes += packet.length;
    return true;
  }
}

function takes(section: MediaSection, payloadType: number | undefined): boolean {
  return !section.rejected && section.formats.some((format) => format.payloadType === payloadType);
}

/** The tracks as streams with kinds, in order. */
function deliveries(tracks: readonly PublishedTrack[]): MediaDelivery[] {
  const kinds = new Map<string, MediaKind[]>();
  for (const { streamId, kind } of tracks) kinds.set(streamId, [...(kinds.get(streamId) ?? []), kind]);
  return [...kinds].map(([streamId, list]) => ({ streamId, kinds: list }));
}
