import type { Socket } from 'node:dgram';
import { isRtcp } from '../rtp/index.js';
import type { PortPair } from './ports.js';

/** Where a phone's media is, as far as known. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

/** Takes what comes from the phone. */
export interface RtpSocketEvents {
  /**
   * A datagram that is not RTCP.
   * @returns whether it is the phone's: well formed, of the session, authentic
   */
  onRtp(packet: Buffer): boolean;
  onRtcp(packet: Buffer): void;
}

/** No phone sends larger datagrams; what is larger is not looked at. */
const MAX_DATAGRAM = 2000;
/** In order from one source, before a source that the SDP did not name is believed. */
const PROBATION_PACKETS = 3;
/** Until then the address of the SDP takes precedence over another source that was believed. */
const PROBATION_MS = 5000;
/** After a move, packets still under way from where the phone was are not taken for a sign of it. */
const MOVE_MS = 2000;
/** After so much silence a phone may come from another port (its NAT forgot the old one). */
const REBIND_MS = 3000;

/**
 * The UDP end of one phone: sends to where the SDP said, or rather to where the phone's packets come from
 * (symmetric RTP, RFC 4961). Once that is settled the socket is connected, so that the kernel keeps others out.
 *
 * Guard against hijack: the address in the SDP is believed at once; another source only after several good packets in
 * a row, and not once the SDP's has been heard; after a silence, the same address with another port.
 */
export class RtpSocket {
  readonly #ports: PortPair;
  readonly #events: RtpSocketEvents;
  #announced: PeerAddress | undefined;
  #announcedRtcp: PeerAddress | undefined;
  #mux = false;
  /** Where packets are believed to come from; `send` goes there. */
  #settled: PeerAddress | undefined;
  #settledAt = 0;
  #connected = false;
  #candidate: PeerAddress | undefined;
  #candidatePackets = 0;
  #lastHeard = 0;
  /** Where the phone was before the last move. */
  #left: PeerAddress | undefined;
  #leftAt = 0;
  #closed = false;
  /** Datagrams from sources that were not believed, or too large. */
  strangers = 0;
  /** Datagrams that the system would not send. */
  sendErrors = 0;

  constructor(ports: PortPair, events: RtpSocketEvents) {
    this.#ports = ports;
    this.#events = events;
    ports.rtp.on('message', (packet, from) => this.#onRtpPort(packet, from));
    ports.rtcp.on('message', (packet, from) => this.#onRtcpPort(packet, from));
    // A phone that closed its port answers with ICMP: its silence is noticed elsewhere.
    ports.rtp.on('error', () => (this.sendErrors += 1));
    ports.rtcp.on('error', () => (this.sendErrors += 1));
  }

  get port(): number {
    return this.#ports.port;
  }

  /** Takes the addresses of a new session description; a changed one starts the search for the phone anew. */
  setPeer(rtp: PeerAddress | undefined, rtcp: PeerAddress | undefined, mux: boolean): void {
    this.#mux = mux;
    this.#announcedRtcp = rtcp;
    // On hold there is no address: the phone is where it was.
    if (!rtp || samePeer(rtp, this.#announced)) return;
    this.#left = this.#settled ?? this.#announced;
    this.#leftAt = performance.now();
    this.#announced = rtp;
    this.#settled = undefined;
    this.#candidate = undefined;
    this.#disconnect();
  }

  /** Sends one RTP packet; `packet` must stay as it is until the next few packets have been sent. */
  send(packet: Buffer): void {
    if (this.#closed) return;
    if (this.#connected) {
      this.#ports.rtp.send(packet, this.#onSent);
      return;
    }
    const peer = this.#settled ?? this.#announced;
    if (peer) this.#ports.rtp.send(packet, peer.port, peer.address, this.#onSent);
  }

  sendRtcp(packet: Buffer): void {
    if (this.#closed) return;
    if (this.#mux) {
      this.send(packet);
      return;
    }
    const peer = this.#rtcpPeer();
    if (peer) this.#ports.rtcp.send(packet, peer.port, peer.address, this.#onSent);
  }

  /** To be called about once a second: lets the kernel filter once the phone is sure, and no longer when it is silent. */
  maintain(nowMs: number): void {
    if (!this.#settled) return;
    const isSilent = nowMs - this.#lastHeard > REBIND_MS;
    if (this.#connected && isSilent) this.#disconnect();
    else if (!this.#connected && !isSilent && this.#isSure(nowMs)) this.#connect(this.#settled);
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
    const { address, port } = this.#settled ?? {};
    const isAsAnnounced = samePeer(this.#settled, this.#announced);
    if (address === undefined || port === undefined || isAsAnnounced) return this.#announcedRtcp;
    // Behind NAT the SDP's ports mean nothing: the one after the RTP port is the best guess.
    return { address, port: Math.min(65535, port + 1) };
  }

  #onRtpPort(packet: Buffer, from: PeerAddress): void {
    const nowMs = performance.now();
    const isSettled = samePeer(from, this.#settled);
    if (packet.length > MAX_DATAGRAM || (!isSettled && !this.#mayListen(from, nowMs))) {
      this.strangers += 1;
      return;
    }
    if (isRtcp(packet)) {
      if (this.#mux && isSettled) this.#events.onRtcp(packet);
      return;
    }
    if (!this.#events.onRtp(packet)) return;
    this.#lastHeard = nowMs;
    if (!isSettled) this.#settle(from, nowMs);
  }

  /** Whether to look at a packet that does not come from where the phone is believed to be. */
  #mayListen(from: PeerAddress, nowMs: number): boolean {
    const settled = this.#settled;
    if (settled) {
      if (samePeer(from, this.#announced)) return !this.#isSure(nowMs);
      return from.address === settled.address && nowMs - this.#lastHeard > REBIND_MS;
    }
    if (samePeer(from, this.#announced)) return true;
    if (samePeer(from, this.#left) && nowMs - this.#leftAt < MOVE_MS) return false;
    if (!samePeer(from, this.#candidate)) {
      this.#candidate = { address: from.address, port: from.port };
      this.#candidatePackets = 0;
    }
    this.#candidatePackets += 1;
    return this.#candidatePackets >= PROBATION_PACKETS;
  }

  #isSure(nowMs: number): boolean {
    return samePeer(this.#settled, this.#announced) || nowMs - this.#settledAt > PROBATION_MS;
  }

  #settle(from: PeerAddress, nowMs: number): void {
    this.#settled = { address: from.address, port: from.port };
    this.#settledAt = nowMs;
    this.#candidate = undefined;
    this.#disconnect();
    if (this.#isSure(nowMs)) this.#connect(this.#settled);
  }

  /** With an address for a name, connecting takes effect before it returns; the callback only tells of failure. */
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
    const peer = this.#settled ?? this.#announced;
    if (!isRtcp(packet) || packet.length > MAX_DATAGRAM || from.address !== peer?.address) {
      this.strangers += 1;
      return;
    }
    this.#events.onRtcp(packet);
  }
}

function samePeer(a: PeerAddress | undefined, b: PeerAddress | undefined): boolean {
  return a === b || (a !== undefined && a.port === b?.port && a.address === b.address);
}

function isConnected(socket: Socket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false; // That is how node:dgram says no.
  }
}

async function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
