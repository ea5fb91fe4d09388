import type { Socket } from 'node:dgram';
import { isRtcp } from '../rtp/index.js';
import { PeerSearch, samePeer } from './peer-search.js';
import type { DescribedPeer, PeerAddress, SettledPeer } from './peer-search.js';
import type { PortPair } from './ports.js';
import { FIRST_USER_PORT } from './send-consent.js';
import type { SendConsent } from './send-consent.js';

/** Receives the phone's packets. */
export interface RtpSocketHandlers {
  /**
   * A datagram that is not RTCP, and when it came.
   * @returns whether it is the phone's: well formed, of the session, authentic
   */
  onRtp(packet: Buffer, nowMs: number): boolean;
  /** @returns whether it is the phone's: authentic, if the call is encrypted */
  onRtcp(packet: Buffer): boolean;
  /** The phone's packets come from another address than before. */
  onMoved?(): void;
}

/** What was found out about the addresses of a phone. */
export interface FoundPeer {
  readonly settled?: SettledPeer | undefined;
  readonly rtcpHeard: boolean;
}

/** What a session description and the SIP message with it say of the phone's media. */
export interface DescribedMedia extends DescribedPeer {
  readonly rtcp?: PeerAddress | undefined;
  /** RTCP comes and goes on the RTP port (RFC 5761). */
  readonly mux: boolean;
}

/** No phone sends larger datagrams: they are dropped unread. */
const MAX_DATAGRAM = 2000;
/** One RTP packet in so many tells whether the system took it: Node makes objects and a turn of a queue for each that does. */
const ASKED_EVERY = 50;

/**
 * The UDP sockets for one phone. They send to the phone's most likely address, as far as there is consent.
 * Once no other source can be the phone, the socket is connected, so that the kernel keeps others out.
 */
export class RtpSocket {
  readonly #ports: PortPair;
  readonly #handlers: RtpSocketHandlers;
  readonly #consent: SendConsent;
  readonly #search = new PeerSearch();
  #announcedRtcp: PeerAddress | undefined;
  /** RTCP came from the announced address and port. */
  #rtcpHeard = false;
  #mux = false;
  #connected = false;
  #closed = false;
  /** Datagrams from sources that were not believed, or too large. */
  strangers = 0;
  /** Datagrams that the system refused to send, of those that were asked about. */
  sendErrors = 0;
  /** RTP packets since the last that was asked about. */
  #unasked = 0;

  constructor(ports: PortPair, handlers: RtpSocketHandlers, consent: SendConsent) {
    this.#ports = ports;
    this.#handlers = handlers;
    this.#consent = consent;
    ports.rtp.on('message', (packet, from) => this.#onRtpPort(packet, from));
    ports.rtcp.on('message', (packet, from) => this.#onRtcpPort(packet, from));
    // ICMP from a closed port arrives as an error. The endpoint notices that the phone is silent.
    ports.rtp.on('error', () => (this.sendErrors += 1));
    ports.rtcp.on('error', () => (this.sendErrors += 1));
  }

  get port(): number {
    return this.#ports.port;
  }

  /** Takes a new session description; a changed address starts the search for the phone again. */
  describe(media: DescribedMedia): void {
    const nowMs = performance.now();
    this.#mux = media.mux;
    if (!samePeer(media.rtcp, this.#announcedRtcp)) this.#rtcpHeard = false;
    this.#announcedRtcp = media.rtcp;
    this.#consent.announce(media.announced, nowMs);
    if (this.#search.describe(media, nowMs)) this.#disconnect();
  }

  get found(): FoundPeer {
    return { settled: this.#search.state, rtcpHeard: this.#rtcpHeard };
  }

  /** Goes on with what another process found out; call it after {@link describe}. */
  restore({ settled, rtcpHeard }: FoundPeer): void {
    this.#rtcpHeard = rtcpHeard;
    if (settled) this.#search.restore(settled, performance.now());
  }

  /** Whether packets may be sent to the phone now. */
  maySend(nowMs: number): boolean {
    return this.#connected || this.#search.settled !== undefined || this.#consent.allows(nowMs);
  }

  /**
   * Sends one RTP packet, if {@link maySend}; `packet` must not change until the next few packets have been
   * sent.
   */
  send(packet: Buffer): void {
    if (this.#closed) return;
    this.#unasked = (this.#unasked + 1) % ASKED_EVERY;
    const onSent = this.#unasked === 0 ? this.#onSent : undefined;
    if (this.#connected) {
      this.#ports.rtp.send(packet, onSent);
      return;
    }
    if (!this.maySend(performance.now())) return;
    const peer = this.#search.destination;
    if (peer) this.#ports.rtp.send(packet, peer.port, peer.address, onSent);
  }

  sendRtcp(packet: Buffer): void {
    if (this.#closed) return;
    if (this.#mux) {
      this.send(packet);
      return;
    }
    if (!this.maySend(performance.now())) return;
    const peer = this.#rtcpPeer();
    if (peer) this.#ports.rtcp.send(packet, peer.port, peer.address, this.#onSent);
  }

  /**
   * Called about once a second: lets the kernel filter while the phone's address is sure, but not while the
   * phone is silent.
   */
  maintain(nowMs: number): void {
    const { settled } = this.#search;
    if (!settled) return;
    const isSilent = this.#search.isSilent(nowMs);
    if (this.#connected && isSilent) this.#disconnect();
    else if (!this.#connected && !isSilent && this.#search.isSure) this.#connect(settled);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([closeSocket(this.#ports.rtp), closeSocket(this.#ports.rtcp)]);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error) this.sendErrors += 1;
  };

  readonly #onConnected = (error?: Error): void => {
    if (error) this.sendErrors += 1;
  };

  #rtcpPeer(): PeerAddress | undefined {
    const { settled, announced } = this.#search;
    if (settled && !samePeer(settled, announced) && !this.#search.isAsymmetric) {
      // Behind NAT the SDP's ports mean nothing: the one after the RTP port is the best guess.
      return { address: settled.address, port: Math.min(65535, settled.port + 1) };
    }
    const rtcp = this.#announcedRtcp;
    // `a=rtcp` may name any host (RFC 3605), which may not want our reports.
    const isPlausible = rtcp?.address === announced?.address && (rtcp?.port ?? 0) >= FIRST_USER_PORT;
    return isPlausible || this.#rtcpHeard ? rtcp : undefined;
  }

  #onRtpPort(packet: Buffer, from: PeerAddress): void {
    const nowMs = performance.now();
    if (packet.length > MAX_DATAGRAM || !this.#search.mayListen(from, nowMs)) {
      this.strangers += 1;
      return;
    }
    if (isRtcp(packet)) {
      const isPeer = samePeer(from, this.#search.settled) || samePeer(from, this.#search.announced);
      if (this.#mux && isPeer && this.#handlers.onRtcp(packet)) this.#heardReport(from.address);
      return;
    }
    if (!this.#handlers.onRtp(packet, nowMs)) return;
    if (!this.#search.heard(from, nowMs)) return;
    this.#consent.heard(samePeer(from, this.#search.announced));
    this.#disconnect();
    if (this.#search.isSure) this.#connect(from);
    this.#handlers.onMoved?.();
  }

  /**
   * The peer is an IP address, so `connect` takes effect before it returns; the callback only reports
   * failure.
   */
  #connect(peer: PeerAddress): void {
    this.#ports.rtp.connect(peer.port, peer.address, this.#onConnected);
    this.#connected = isConnected(this.#ports.rtp);
  }

  #disconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#ports.rtp.disconnect();
  }

  #onRtcpPort(packet: Buffer, from: PeerAddress): void {
    const isAnnounced = samePeer(from, this.#announcedRtcp);
    const mayListen = isAnnounced || this.#search.mayReport(from.address);
    if (!isRtcp(packet) || packet.length > MAX_DATAGRAM || !mayListen) {
      this.strangers += 1;
      return;
    }
    if (!this.#handlers.onRtcp(packet)) return;
    if (isAnnounced) this.#rtcpHeard = true;
    this.#heardReport(from.address);
  }

  #heardReport(host: string): void {
    this.#consent.heard(host === this.#search.announced?.address);
    if (this.#search.heardReport(host)) this.#disconnect();
  }
}

function isConnected(socket: Socket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false; // `remoteAddress` throws when the socket is not connected.
  }
}

async function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
