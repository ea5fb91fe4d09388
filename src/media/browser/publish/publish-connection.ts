import { randomInt } from 'node:crypto';
import {
  type DigitListener,
  isRtcp,
  readSenderInfo,
  readUint32,
  RTCP_SENDER_REPORT,
  RtcpCursor,
  rtpPayloadOffset,
  writeRemb,
  writeRtcpReport,
} from '../../rtp/index.js';
import type { LiveStream } from '../../endpoint.js';
import type { StreamFigures } from '../../quality/index.js';
import {
  MediaError,
  type PublishOfferOptions,
  type RefusedTrack,
  type StreamLevelInfo,
} from '../../types.js';
import { type Description, parseDescription } from '../sdp/description.js';
import { acceptOffer, writePublishAnswer } from '../sdp/publish-answer.js';
import type {
  Transport,
  TransportFactory,
  TransportState,
  TransportDescription,
} from '../transport/transport.js';
import { Demultiplexer, PublishedSet } from './published-set.js';
import { TransportFeedbackSender } from './transport-feedback.js';
import type { Uplink, UplinkOptions } from './uplink.js';

/** The REMB that lifts a publisher's limit, in bits per second. */
const NO_LIMIT = 20_000_000;

/** Repeats of the REMB that lifts the limit, since RTCP may be lost. */
const LIFT_REPEATS = 3;

/** While another video is limited, an unlimited one may grow by this factor over what it sends. */
const GROWTH = 1.25;

/** Allowance for each audio track in the total of a REMB. */
const AUDIO_BITRATE = 64_000;

const REPORT_INTERVAL_MS = 1_000;

const STUCK =
  'Firefox cannot publish by another path on a connection that has had one: disconnect, connect and publish again.';

interface PublishConnectionOptions {
  readonly transports: TransportFactory;
  /** Whether publishers are asked to use DTX. */
  readonly opusDtx?: boolean;
  /** CNAME of our reports. */
  readonly cname: string;
  /** Something came from the browser. */
  readonly onHeard: () => void;
  /** The browser sends more than any page has reason to. */
  readonly onAbuse: () => void;
  /** A DTMF digit came, once for each key press. */
  readonly onDigit: DigitListener;
  /** Somebody begins or ceases to speak in one of the streams. */
  readonly onSpeaking: UplinkOptions['onSpeaking'];
  readonly metersSpeech: () => boolean;
  /** The browser may have a connection from an earlier gateway, which is unknown here. */
  readonly inherited: boolean;
  /** The browser asked for another transport, which it could not use. */
  readonly onStuck: () => void;
  /** The streams changed without an offer. */
  readonly onStreams: () => void;
}

interface ReceivedCounts {
  packets: number;
  bytes: number;
}

/** The peer connection on which a browser publishes: it offers, we answer and receive. */
export class PublishConnection {
  readonly received: ReceivedCounts = { packets: 0, bytes: 0 };
  readonly #options: PublishConnectionOptions;
  readonly #localSsrc = randomInt(1, 2 ** 32);
  readonly #sessionId = String(randomInt(1, 2 ** 47));
  readonly #set: PublishedSet;
  readonly #demultiplexer = new Demultiplexer();
  readonly #bitrate = new BitrateLimit(this.#localSsrc);
  readonly #cursor = new RtcpCursor();
  readonly #arrivals = new TransportFeedbackSender(this.#localSsrc, (packet) => this.#send(packet));
  #refused: readonly RefusedTrack[] = [];
  #transport: Transport | undefined;
  #remote: TransportDescription | undefined;
  #version = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #reports: NodeJS.Timeout | undefined;
  /** Sent again on the next transport, for a page that publishes or reconnects later. */
  #lastDiagnostics: readonly string[] = [];
  #stuck = false;
  #closed = false;

  constructor(options: PublishConnectionOptions) {
    this.#options = options;
    this.#set = new PublishedSet({
      localSsrc: this.#localSsrc,
      send: (packet) => this.#send(packet),
      onDigit: options.onDigit,
      onSpeaking: options.onSpeaking,
      metersSpeech: options.metersSpeech,
    });
  }

  get streams(): LiveStream[] {
    return this.#set.streams;
  }

  /** Tracks of the last offer that were refused. */
  get refused(): readonly RefusedTrack[] {
    return this.#refused;
  }

  /** Whether the browser has a transport to publish on. */
  get open(): boolean {
    return this.#transport !== undefined;
  }

  get packetsLost(): number {
    return this.#set.uplinks.reduce((sum, uplink) => sum + uplink.packetsLost, 0);
  }

  get jitterMs(): number {
    return Math.max(0, ...this.#set.uplinks.map((uplink) => uplink.jitterMs));
  }

  /** Of the audio that comes. @param roundTripMs as measured where we send */
  audioFigures(roundTripMs: number | undefined): StreamFigures[] {
    return this.#set.audioFigures.map((figures) => ({ ...figures, roundTripMs }));
  }

  /** @see PublishedSet.takeLevels */
  takeLevels(): StreamLevelInfo[] {
    return this.#set.takeLevels();
  }

  /**
   * Takes an offer, the full description of what is published from now on. Offers are taken one after the other.
   * @returns the answer
   * @throws MediaError BAD_SDP, INVALID_STATE (of Firefox: see {@link STUCK})
   */
  async negotiate(options: PublishOfferOptions): Promise<string> {
    const turn = this.#turn.then(() => this.#answer(options));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Sends messages on the page's diagnostics channel, if it has one; the client logs them. */
  sendDiagnostics(messages: readonly object[]): void {
    this.#lastDiagnostics = messages.map((message) => JSON.stringify(message));
    for (const message of this.#lastDiagnostics) this.#transport?.sendDiagnostics(message);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#reports);
    this.#arrivals.stop();
    this.#transport?.close();
    this.#set.update([]);
    this.#demultiplexer.update([]);
  }

  async #answer({ sdpOffer, allowedKinds }: PublishOfferOptions): Promise<string> {
    const offer = parseDescription(sdpOffer);
    const { accepted, refused } = acceptOffer(offer, allowedKinds);
    const wantsData = offer.sections.some((section) => section.kind === 'data' && section.bundled);
    if (offer.transport && (accepted.length > 0 || wantsData)) await this.#connect(offer, wantsData);
    if (!this.#closed) this.#publish(accepted.filter(({ receiving }) => receiving));
    this.#refused = refused;
    this.#version += 1;
    return writePublishAnswer({
      offer,
      accepted,
      acceptData: this.#transport?.hasData ?? false,
      opusDtx: this.#options.opusDtx ?? false,
      ...(this.#transport ? { transport: this.#transport.local } : {}),
      session: { sessionId: this.#sessionId, version: this.#version },
    });
  }

  #publish(accepted: Parameters<PublishedSet['update']>[0]): void {
    this.#set.update(accepted);
    this.#demultiplexer.update(this.#set.uplinks);
    this.#arrivals.update(accepted);
    this.#reports ??= setInterval(() => this.#report(), REPORT_INTERVAL_MS).unref();
  }

  /** Opens the transport, or a fresh one when the browser's ICE credentials are new (RFC 8839 section 4.4.1.1.1). */
  async #connect(offer: Description, withData: boolean): Promise<void> {
    const remote = offer.transport!;
    if (
      this.#transport &&
      this.#remote?.iceUfrag === remote.iceUfrag &&
      this.#remote.icePwd === remote.icePwd
    ) {
      return;
    }
    if (offer.origin.keepsDtls && (this.#transport || (this.#options.inherited && !offer.origin.first))) {
      this.#refusePath();
    }
    const transport = await this.#options.transports.answer(remote, withData, {
      onPacket: (packet) => this.#onPacket(packet),
      onHeartbeat: this.#options.onHeard,
      onState: (state) => this.#onState(state),
      onAbuse: this.#options.onAbuse,
    });
    this.#transport?.close();
    this.#transport = transport;
    for (const message of this.#lastDiagnostics) transport.sendDiagnostics(message);
    this.#remote = remote;
    if (this.#closed) transport.close();
  }

  /**
   * Firefox never restarts DTLS on a transport, and once its ICE has failed it never sends media again,
   * whatever is negotiated. The transport library cannot move a DTLS association to other ICE credentials. So
   * the published tracks stay on the present transport, and end with it.
   */
  #refusePath(): never {
    this.#stuck = true;
    this.#options.onStuck();
    if (this.#transport?.state !== 'connected') setImmediate(() => this.#drop());
    throw new MediaError('INVALID_STATE', STUCK);
  }

  #drop(): void {
    if (this.#closed) return;
    this.#publish([]);
    this.#options.onStreams();
  }

  #onState(state: TransportState): void {
    if (this.#stuck && state !== 'connected') this.#drop();
    if (state === 'connected') for (const uplink of this.#set.uplinks) uplink.restarted();
  }

  #onPacket(packet: Buffer): void {
    this.#options.onHeard();
    this.received.packets += 1;
    this.received.bytes += packet.length;
    if (isRtcp(packet)) {
      this.#onRtcp(packet);
      return;
    }
    const payloadOffset = rtpPayloadOffset(packet);
    if (payloadOffset < 0) return;
    const now = performance.now();
    this.#arrivals.onPacket(packet, payloadOffset, now);
    this.#demultiplexer.find(packet, payloadOffset)?.onRtp(packet, payloadOffset, now);
  }

  #onRtcp(packet: Buffer): void {
    const cursor = this.#cursor;
    cursor.open(packet);
    while (cursor.next()) {
      if (cursor.type !== RTCP_SENDER_REPORT) continue;
      const info = readSenderInfo(packet, cursor);
      if (!info) continue;
      const ssrc = readUint32(packet, cursor.start);
      this.#demultiplexer.bySsrc(ssrc)?.onSenderReport(ssrc, info, performance.now());
    }
  }

  #report(): void {
    const now = performance.now();
    const { uplinks } = this.#set;
    const limit = this.#bitrate.feedback(uplinks);
    if (limit) this.#send(limit);
    const blocks = uplinks.flatMap((uplink) => uplink.report(now) ?? []);
    if (blocks.length === 0) return;
    this.#send(writeRtcpReport({ ssrc: this.#localSsrc, blocks, cname: this.#options.cname }));
  }

  #send(packet: Buffer): void {
    this.#transport?.send(packet);
  }
}

/** Limits a publisher, by REMB, to the bit rate that its subscribers can take. */
class BitrateLimit {
  readonly #localSsrc: number;
  #liftsLeft = 0;

  constructor(localSsrc: number) {
    this.#localSsrc = localSsrc;
  }

  /** Called once a second. @returns the REMB to send, if one is due */
  feedback(uplinks: readonly Uplink[]): Buffer | undefined {
    const videos = uplinks.filter((uplink) => uplink.track.kind === 'video' && uplink.ssrc >= 0);
    const sources = videos.map(({ ssrc }) => ssrc);
    const isLimited = videos.some(({ bitrateLimit }) => bitrateLimit < Infinity);
    const limit = videos.reduce((sum, uplink) => sum + share(uplink), 0);
    if (isLimited && limit < NO_LIMIT) {
      this.#liftsLeft = LIFT_REPEATS;
      const audio = AUDIO_BITRATE * (uplinks.length - videos.length);
      return writeRemb(this.#localSsrc, limit + audio, sources);
    }
    if (this.#liftsLeft === 0) return undefined;
    this.#liftsLeft -= 1;
    return writeRemb(this.#localSsrc, NO_LIMIT, sources);
  }
}

/**
 * The video's share (bits per second) of a REMB, which is about all videos together; a video without a limit
 * has one too.
 */
function share(uplink: Uplink): number {
  const sent = uplink.takeBytes() * 8;
  if (uplink.bitrateLimit < Infinity) return uplink.bitrateLimit;
  return uplink.track.sinkCount > 0 ? sent * GROWTH : 0;
}
