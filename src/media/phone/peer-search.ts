import ipaddr from 'ipaddr.js';

/** An address that media go to or come from. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

/** What SDP and SIP say about the address of a phone's media. */
export interface DescribedPeer {
  /** The address in its SDP; absent on hold, or when the SDP has a host name. */
  readonly announced?: PeerAddress | undefined;
  /** Its packets are encrypted: whoever sends an authentic one is the phone. */
  readonly secure: boolean;
  /** It is FreeSWITCH on a private network: no other source is ever believed. */
  readonly announcedOnly: boolean;
  /**
   * It receives at its announced address and sends from another, as the operator has configured for its
   * network.
   */
  readonly asymmetric?: boolean;
  /** Where its SIP messages come from; absent when that is a proxy. */
  readonly signallingHost?: string | undefined;
}

/** Where a phone's packets came from, and how far that source is believed. */
export interface SettledPeer extends PeerAddress {
  readonly rank: number;
}

/** How far a source of packets is believed. */
const NONE = 0;
/** Neither SDP nor SIP names it. */
const OTHER = 1;
/** The host that the SIP messages come from, or the announced host with another port: a phone behind NAT. */
const SIGNALLED = 2;
const ANNOUNCED = 3;
const AUTHENTIC = 4;

/** Packets in a row from a source before it is believed although neither SDP nor SIP names it. */
const PROBATION_PACKETS = 3;
/** For this long after a move, packets from the old address are ignored: they may still be on their way. */
const MOVE_MS = 2000;
/** After this much silence a phone may come from another port, because its NAT has dropped the old mapping. */
const REBIND_MS = 3000;

/**
 * Finds a phone's address: first the one in its SDP, then the one that its packets come from (symmetric RTP,
 * RFC 4961). A better source replaces a worse one with its first packet, and a worse one is ignored once a
 * better one has sent. So a stranger cannot keep the audio from the phone, even if the stranger sends first.
 */
export class PeerSearch {
  #described: DescribedPeer = { secure: false, announcedOnly: false, asymmetric: false };
  #settled: PeerAddress | undefined;
  #settledRank = NONE;
  /** Rank of the best source that has sent since the address was announced. */
  #bestRank = NONE;
  #lastHeard = 0;
  #candidate: PeerAddress | undefined;
  #candidatePackets = 0;
  /** Where the phone was before the last move. */
  #left: PeerAddress | undefined;
  #leftAt = 0;

  /** Where the phone's packets come from, as far as is known; undefined before the first. */
  get settled(): PeerAddress | undefined {
    return this.#settled;
  }

  /** What {@link restore} takes; undefined before the first packet. */
  get state(): SettledPeer | undefined {
    return this.#settled && { ...this.#settled, rank: this.#settledRank };
  }

  /** Goes on where another process was, after the call of {@link describe}. */
  restore({ address, port, rank }: SettledPeer, nowMs: number): void {
    this.#settled = { address, port };
    this.#settledRank = rank;
    this.#bestRank = rank;
    this.#lastHeard = nowMs;
  }

  get announced(): PeerAddress | undefined {
    return this.#described.announced;
  }

  /** Where packets for the phone are sent. */
  get destination(): PeerAddress | undefined {
    const { announced, asymmetric } = this.#described;
    return asymmetric === true && announced ? announced : (this.#settled ?? announced);
  }

  /** Packets go to the announced address, wherever the phone's own come from. */
  get isAsymmetric(): boolean {
    return this.#described.asymmetric === true;
  }

  /** Takes a new description. @returns whether the search starts again */
  describe(described: DescribedPeer, nowMs: number): boolean {
    const before = this.#described;
    // A phone on hold announces no address and stays where it was.
    const announced = described.announced ?? before.announced;
    const asymmetric = (described.announced ? described : before).asymmetric ?? false;
    this.#described = { ...described, announced, asymmetric };
    const isSame =
      samePeer(announced, before.announced) &&
      described.secure === before.secure &&
      asymmetric === before.asymmetric;
    if (isSame && described.announcedOnly === before.announcedOnly) return false;
    if (!samePeer(announced, before.announced)) {
      this.#left = this.#settled ?? before.announced;
      this.#leftAt = nowMs;
    }
    this.#settled = undefined;
    this.#settledRank = NONE;
    this.#bestRank = NONE;
    this.#candidate = undefined;
    return true;
  }

  /** Whether a packet from this source may be read. */
  mayListen(from: PeerAddress, nowMs: number): boolean {
    if (samePeer(from, this.#settled)) return true;
    const rank = this.#rankOf(from);
    if (rank === NONE) return false;
    // An encrypted packet proves itself when it is decrypted.
    if (this.#described.secure || rank === ANNOUNCED) return true;
    if (samePeer(from, this.#left) && nowMs - this.#leftAt < MOVE_MS) return false;
    if (rank === SIGNALLED) return this.#bestRank < SIGNALLED || this.isSilent(nowMs);
    if (this.#bestRank === NONE) return this.#passesProbation(from);
    return this.#bestRank === OTHER && from.address === this.#settled?.address && this.isSilent(nowMs);
  }

  /** Whether RTCP from any port of a host may be read. */
  mayReport(host: string): boolean {
    const { announced, signallingHost, secure, announcedOnly } = this.#described;
    if (host === announced?.address) return true;
    if (announcedOnly) return false;
    return secure || host === this.#settled?.address || host === signallingHost;
  }

  /** A packet was the phone's. @returns whether the phone's address changed */
  heard(from: PeerAddress, nowMs: number): boolean {
    this.#lastHeard = nowMs;
    if (samePeer(from, this.#settled)) return false;
    this.#settledRank = this.#described.secure ? AUTHENTIC : this.#rankOf(from);
    this.#bestRank = Math.max(this.#bestRank, this.#settledRank);
    this.#settled = { address: from.address, port: from.port };
    this.#candidate = undefined;
    return true;
  }

  /** RTCP of the phone came from a host. @returns whether it ended the belief in a worse source */
  heardReport(host: string): boolean {
    const { announced, signallingHost } = this.#described;
    const rank = host === announced?.address ? ANNOUNCED : host === signallingHost ? SIGNALLED : NONE;
    this.#bestRank = Math.max(this.#bestRank, rank);
    // RTP from another port of the same host is as good as its RTCP.
    if (rank <= this.#settledRank || this.#settled === undefined || host === this.#settled.address)
      return false;
    this.#settled = undefined;
    this.#settledRank = NONE;
    return true;
  }

  /** After this much silence the phone's address may have changed. */
  isSilent(nowMs: number): boolean {
    return nowMs - this.#lastHeard > REBIND_MS;
  }

  /** Whether no other source can be the phone, so that the kernel may filter all others. */
  get isSure(): boolean {
    // A connected socket sends to where it receives from.
    if (this.isAsymmetric && !samePeer(this.#settled, this.#described.announced)) return false;
    if (this.#settledRank >= ANNOUNCED) return true;
    const { announced, signallingHost } = this.#described;
    // No packet can come from a private address behind NAT. From any other announced address one may, and
    // must get through.
    return (
      this.#settledRank === SIGNALLED &&
      this.#settled?.address === signallingHost &&
      announced !== undefined &&
      signallingHost !== undefined &&
      isUnreachable(announced.address, signallingHost)
    );
  }

  #rankOf(from: PeerAddress): number {
    const { announced, announcedOnly, signallingHost } = this.#described;
    if (samePeer(from, announced)) return ANNOUNCED;
    if (announcedOnly) return NONE;
    return from.address === signallingHost || from.address === announced?.address ? SIGNALLED : OTHER;
  }

  #passesProbation(from: PeerAddress): boolean {
    if (!samePeer(from, this.#candidate)) {
      this.#candidate = { address: from.address, port: from.port };
      this.#candidatePackets = 0;
    }
    this.#candidatePackets += 1;
    return this.#candidatePackets >= PROBATION_PACKETS;
  }
}

export function samePeer(a: PeerAddress | undefined, b: PeerAddress | undefined): boolean {
  return a === b || (a !== undefined && a.port === b?.port && a.address === b.address);
}

/** The kind of network of an address: `unicast` (public), `private`, `loopback`, `linkLocal` and so on. */
export function networkOf(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).range() : '';
}

/** Whether a host that is seen here at `seen` announces a private address that is not reachable from here. */
function isUnreachable(address: string, seen: string): boolean {
  const network = networkOf(address);
  return network !== 'unicast' && network !== networkOf(seen);
}
