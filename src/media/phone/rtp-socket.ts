import type { Socket } from 'node:dgram';
import { isRtcp } from '../rtp/index.js';
import type { PortPair } from './ports.js';

/** Where a phone's media is, as far as known. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

export interface RtpSocketEvents {
  /** A datagram that is not RTCP; it may be kept until the call returns. */
  onRtp(packet: Buffer): boolean;
  onRtcp(packet: Buffer): void;
}

/** In order from one source, before a source that the SDP did not name is believed. */
const PROBATION_PACKETS = 3;
/** After so much silence a phone may come from another port (its NAT forgot the old one). */
const REBIND_MS = 3000;

/**
 * The UDP end of one phone: sends to where the SDP said, or rather to where the phone's packets come from
 * (symmetric RTP, RFC 4961). Once that is settled the socket is connected, so that the kernel keeps others out.
 *
 * Guard against hijack: the address in the SDP is believed at once; another one only until the first has been heard,
 * after several good packets in a row; after a silence, the same address with another port.
 */
export class RtpSocket {
  readonly #ports: PortPair;
  readonly #events: RtpSocketEvents;
  readonly #now: () => number;
  #announced: PeerAddress | undefined;
  #announcedRtcp: PeerAddress | undefined;
  #mux = false;
  /** Where packets are believed to come from; `send` goes there. */
  #settled: PeerAddress | undefined;
  #connected = false;
  #candidate: PeerAddress | undefined;
  #candidatePackets = 0;
  #lastHeard = 0;
  #closed = false;
  /** Datagrams from sources that were not believed. */
  strangers = 0;
  /** Datagrams that the system would not send. */
  sendErrors = 0;

  constructor(ports: PortPair, events: RtpSocketEvents, now: () => number = () => performance.now()) {
    this.#ports = ports;
    this.#events = events;
    this.#now = now;
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
    if (samePeer(rtp, this.#announced)) return;
    this.#announced = rtp;
    this.#unsettle();
  }

  /** Sends one RTP packet; `packet` must stay as it is until the next few packets have been sent. */
  send(packet: Buffer): void {
    if (this.#closed) return;
    if (this.#connected) this.#ports.rtp.send(packet, this.#onSent);
    else {
      const peer = this.#settled ?? this.#announced;
      if (peer) this.#ports.rtp.send(packet, peer.port, peer.address, this.#onSent);
    }
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
    if (this.#announcedRtcp && samePeer(this.#settled, this.#announced)) return this.#announcedRtcp;
    // Behind NAT the SDP's ports mean nothing: the one after the RTP port is the best guess.
    return this.#settled
      ? { address: this.#settled.address, port: this.#settled.port + 1 }
      : this.#announcedRtcp;
  }

  #onRtpPort(packet: Buffer, from: PeerAddress): void {
    if (!this.#settled && !this.#mayListen(from)) return;
    if (this.#settled && !samePeer(from, this.#settled) && !this.#mayRebind(from)) {
      this.strangers += 1;
      return;
    }
    if (isRtcp(packet)) {
      if (this.#mux && this.#settled) this.#events.onRtcp(packet);
      return;
    }
    if (!this.#events.onRtp(packet)) return;
    this.#lastHeard = this.#now();
    if (!samePeer(from, this.#settled)) this.#settle(from);
  }

  /** Whether to look at a packet while it is not known where the phone is. */
  #mayListen(from: PeerAddress): boolean {
    if (samePeer(from, this.#announced)) return true;
    if (!samePeer(from, this.#candidate)) {
      this.#candidate = { address: from.address, port: from.port };
      this.#candidatePackets = 0;
    }
    this.#candidatePackets += 1;
    if (this.#candidatePackets >= PROBATION_PACKETS) return true;
    this.strangers += 1;
    return false;
  }

  #mayRebind(from: PeerAddress): boolean {
    return from.address === this.#settled?.address && this.#now() - this.#lastHeard > REBIND_MS;
  }

  #settle(from: PeerAddress): void {
    this.#settled = { address: from.address, port: from.port };
    this.#candidate = undefined;
    this.#candidatePackets = 0;
    if (this.#connected) this.#disconnect();
    // With an address for a name, connect takes effect before it returns; its callback only tells of failure.
    this.#ports.rtp.connect(from.port, from.address, this.#onConnected);
    this.#connected = isConnected(this.#ports.rtp);
  }

  #unsettle(): void {
    this.#settled = undefined;
    this.#candidate = undefined;
    this.#candidatePackets = 0;
    if (this.#connected) this.#disconnect();
  }

  #disconnect(): void {
    this.#connected = false;
    this.#ports.rtp.disconnect();
  }

  #onRtcpPort(packet: Buffer, from: PeerAddress): void {
    const peer = this.#settled ?? this.#announced;
    if (!isRtcp(packet) || from.address !== peer?.address) {
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
    return false;
  }
}

async function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
