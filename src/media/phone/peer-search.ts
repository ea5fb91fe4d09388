import ipaddr from 'ipaddr.js';

/** An address that media go to or come from. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

/** What signalling says of where a phone's media are. */
export interface DescribedPeer {
  /** Of its SDP; absent on hold, or when it gave a name. */
  readonly announced?: PeerAddress | undefined;
  /** Its packets are encrypted: whoever sends one that authenticates is the phone. */
  readonly secure: boolean;
  /** It is no phone but FreeSWITCH on a private network: nobody else is believed, whatever happens. */
  readonly announcedOnly: boolean;
  /** It receives where it says, and sends from elsewhere: the operator's word for its network. */
  readonly asymmetric?: boolean;
  /** Where its SIP messages come from; absent when that is a proxy. */
  readonly signallingHost?: string | undefined;
}

/** How far a source of packets is believed. */
const NONE = 0;
/** Neither SDP nor SIP know it. */
const OTHER = 1;
/** The host that the SIP messages come from, or the announced host with another port: a phone behind NAT. */
const SIGNALLED = 2;
const ANNOUNCED = 3;
const AUTHENTIC = 4;

/** In order from one source, before one is believed that neither SDP nor SIP know. */
const PROBATION_PACKETS = 3;
/** After a move, packets still under way from where the phone was are not taken for a sign of it. */
const MOVE_MS = 2000;
/** After so much silence a phone may come from another port (its NAT forgot the old one). */
const REBIND_MS = 3000;

/**
 * Finds where a phone is: where the SDP said, or rather where its packets come from (symmetric RTP, RFC 4961). A
 * better source takes the place of a worse one with its first packet; a worse one is not looked at once a better one
 * has sent. Whoever came first, nobody can keep the phone's audio from it.
 */
export class PeerSearch {
  #described: DescribedPeer = { secure: false, announcedOnly: false, asymmetric: false };
  #settled: PeerAddress | undefined;
  #settledRank = NONE;
  /** Of the best source that has sent since the address was announced. */
  #bestRank = NONE;
  #lastHeard = 0;
  #candidate: PeerAddress | undefined;
  #candidatePackets = 0;
  /** Where the phone was before the last move. */
  #left: PeerAddress | undefined;
  #leftAt = 0;

  /** Where the phone's packets are believed to come from; absent: none came. */
  get settled(): PeerAddress | undefined {
    return this.#settled;
  }

  get announced(): PeerAddress | undefined {
    return this.#described.announced;
  }

  /** Where packets for the phone go to. */
  get destination(): PeerAddress | undefined {
    const { announced, asymmetric } = this.#described;
    return asymmetric === true && announced ? announced : (this.#settled ?? announced);
  }

  /** The phone is sent to where it said, wherever its packets come from. */
  get isAsymmetric(): boolean {
    return this.#described.asymmetric === true;
  }

  /** Takes what signalling says now. @returns whether the search starts anew */
  describe(described: DescribedPeer, nowMs: number): boolean {
    const before = this.#described;
    // On hold there is no address: the phone is where it was.
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

  /** Whether to look at a packet. */
  mayListen(from: PeerAddress, nowMs: number): boolean {
    if (samePeer(from, this.#settled)) return true;
    const rank = this.#rankOf(from);
    if (rank === NONE) return false;
    // It will show its key.
    if (this.#described.secure || rank === ANNOUNCED) return true;
    if (samePeer(from, this.#left) && nowMs - this.#leftAt < MOVE_MS) return false;
    if (rank === SIGNALLED) return this.#bestRank < SIGNALLED || this.isSilent(nowMs);
    if (this.#bestRank === NONE) return this.#passesProbation(from);
    return this.#bestRank === OTHER && from.address === this.#settled?.address && this.isSilent(nowMs);
  }

  /** Whether RTCP of a host is looked at, whatever its port. */
  mayReport(host: string): boolean {
    const { announced, signallingHost, secure, announcedOnly } = this.#described;
    if (host === announced?.address) return true;
    if (announcedOnly) return false;
    return secure || host === this.#settled?.address || host === signallingHost;
  }

  /** A packet that was looked at is the phone's. @returns whether the phone is elsewhere than before */
  heard(from: PeerAddress, nowMs: number): boolean {
    this.#lastHeard = nowMs;
    if (samePeer(from, this.#settled)) return false;
    this.#settledRank = this.#described.secure ? AUTHENTIC : this.#rankOf(from);
    this.#bestRank = Math.max(this.#bestRank, this.#settledRank);
    this.#settled = { address: from.address, port: from.port };
    this.#candidate = undefined;
    return true;
  }

  /** Its RTCP is a sign of the phone, too. @returns whether a source that is worse is not believed any more */
  heardReport(host: string): boolean {
    const { announced, signallingHost } = this.#described;
    const rank = host === announced?.address ? ANNOUNCED : host === signallingHost ? SIGNALLED : NONE;
    this.#bestRank = Math.max(this.#bestRank, rank);
    // The host's own packets from another port are no worse than its reports.
    if (rank <= this.#settledRank || this.#settled === undefined || host === this.#settled.address)
      return false;
    this.#settled = undefined;
    this.#settledRank = NONE;
    return true;
  }

  /** No packet came for so long that the phone may be elsewhere. */
  isSilent(nowMs: number): boolean {
    return nowMs - this.#lastHeard > REBIND_MS;
  }

  /** Whether nobody else can be the phone, so that the kernel may keep everybody else out. */
  get isSure(): boolean {
    // A connected socket sends to where it receives from.
    if (this.isAsymmetric && !samePeer(this.#settled, this.#described.announced)) return false;
    if (this.#settledRank >= ANNOUNCED) return true;
    const { announced, signallingHost } = this.#described;
    // Behind NAT nothing can come from the announced address. Elsewhere it may, and must be heard then.
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

/** Kind of network that an address is of: `unicast` (public), `private`, `loopback`, `linkLocal` and so on. */
export function networkOf(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).range() : '';
}

/** Whether an address is of a private network, and one who is seen from here at `seen` is elsewhere. */
function isUnreachable(address: string, seen: string): boolean {
  const network = networkOf(address);
  return network !== 'unicast' && network !== networkOf(seen);
}
