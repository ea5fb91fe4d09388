import {
  CounterTransform,
  GcmTransform,
  readRtcpIndex,
  RTCP_INDEX_LENGTH,
  type SrtpTransform,
} from './transform.js';
import { readUint32, rtpPayloadOffset, rtpSequence, rtpSsrc } from '../rtp/index.js';
import { deriveRtcpKeys, deriveRtpKeys, type MasterKey, type SessionKeys, type SrtpSuite } from './keys.js';

/** The most that sealing adds to a packet, in bytes: index and tag of SRTCP with GCM. */
const SRTP_OVERHEAD = 20;

const WINDOW = 128;

/** Remembered SSRCs of one phone; more come only from a broken phone or an attacker who has the key. */
const MAX_SOURCES = 8;
/** Fixed header of RTP; SRTCP has less in the clear but more behind. */
const MIN_PACKET = 12;

/** Refused packets. */
export interface SrtpCounters {
  /** Wrong tag, or too short for one. */
  unauthentic: number;
  replayed: number;
}

/** The highest packet index that came of each SSRC. */
export type HighestIndices = readonly (readonly [ssrc: number, index: number])[];

/** What a receiver in another process has received, which is to go on here. */
export interface ReceivedBefore {
  readonly rtp: HighestIndices;
  readonly rtcp: HighestIndices;
  /** Packets of an SSRC in the list that can have come since. */
  readonly since: number;
  /** Packets of any other SSRC that can have come in the whole call. */
  readonly ever: number;
}

/** Decrypts and authenticates the packets of one phone. */
export class SrtpReceiver {
  readonly counters: SrtpCounters = { unauthentic: 0, replayed: 0 };
  readonly #suite: SrtpSuite;
  readonly #mkiLength: number;
  readonly #rtp: SrtpTransform;
  readonly #rtcp: SrtpTransform;
  /** The replay windows of the previous key. */
  readonly #before: ReadonlyMap<number, ReplayWindow>;
  readonly #rtpWindows = new Map<number, ReplayWindow>();
  readonly #rtcpWindows = new Map<number, ReplayWindow>();
  readonly #resumption: Resumption | undefined;

  /** @param before the receiver that this one replaces, after a change of keys or the death of its process */
  constructor(suite: SrtpSuite, master: MasterKey, before?: SrtpReceiver | ReceivedBefore) {
    const isHere = before instanceof SrtpReceiver;
    this.#before = isHere ? before.#rtpWindows : new Map<number, ReplayWindow>();
    if (before && !isHere) {
      this.#resumption = new Resumption(before);
      for (const [ssrc, highest] of before.rtcp) this.#rtcpWindows.set(ssrc, new ReplayWindow(highest));
    }
    this.#suite = suite;
    this.#mkiLength = master.mkiLength;
    this.#rtp = createTransform(suite, deriveRtpKeys(suite, master), master.mkiLength);
    this.#rtcp = createTransform(suite, deriveRtcpKeys(suite, master), master.mkiLength);
  }

  /** @returns the plain length of the packet, opened in place; -1: refused */
  unprotectRtp(packet: Buffer): number {
    const headerEnd = rtpPayloadOffset(packet);
    if (headerEnd < 0) return this.#refuse('unauthentic');
    const ssrc = rtpSsrc(packet);
    if (this.#resumption && !this.#rtpWindows.has(ssrc))
      return this.#resume(this.#resumption, packet, headerEnd);
    const window = this.#rtpWindows.get(ssrc) ?? new ReplayWindow();
    const index = nearestIndex(rtpSequence(packet), window.highest);
    if (!window.allows(index)) return this.#refuse('replayed');
    const length = this.#openAt(packet, headerEnd, index, window);
    if (length >= 0) return length;
    // After a change of keys the roll-over counter goes on (RFC 3711 section 3.3.1), though many start it over.
    const highestBefore = window.highest < 0 ? (this.#before.get(ssrc)?.highest ?? -1) : -1;
    if (highestBefore < 0x10000) return this.#refuse('unauthentic');
    const continued = this.#openAt(
      packet,
      headerEnd,
      nearestIndex(rtpSequence(packet), highestBefore),
      window,
    );
    return continued < 0 ? this.#refuse('unauthentic') : continued;
  }

  /** The first packet of an SSRC that authenticates decides how often its numbers have rolled over. */
  #resume(resumption: Resumption, packet: Buffer, headerEnd: number): number {
    const ssrc = rtpSsrc(packet);
    const window = new ReplayWindow(resumption.highestOf(ssrc));
    for (const index of resumption.indicesFor(ssrc, rtpSequence(packet))) {
      const length = this.#openAt(packet, headerEnd, index, window);
      if (length < 0) continue;
      resumption.isAnyHeard = true;
      return length;
    }
    return this.#refuse('unauthentic');
  }

  /** The highest index of each SSRC's packets, with those of another process that were not heard again. */
  get highestRtp(): HighestIndices {
    const unheard = this.#resumption?.listed.filter(([ssrc]) => !this.#rtpWindows.has(ssrc)) ?? [];
    return [...unheard, ...highestOf(this.#rtpWindows)].slice(-MAX_SOURCES);
  }

  get highestRtcp(): HighestIndices {
    return highestOf(this.#rtcpWindows);
  }

  #openAt(packet: Buffer, headerEnd: number, index: number, window: ReplayWindow): number {
    const length = this.#rtp.openRtp(packet, headerEnd, packet.length, Math.floor(index / 0x10000));
    if (length < 0) return -1;
    window.accept(index);
    remember(this.#rtpWindows, rtpSsrc(packet), window);
    return length;
  }

  /** @returns the plain length of the packet, opened in place; -1: refused */
  unprotectRtcp(packet: Buffer): number {
    const behind = this.#suite.rtcpTagLength + this.#mkiLength + RTCP_INDEX_LENGTH;
    if (packet.length < MIN_PACKET + behind - RTCP_INDEX_LENGTH) return this.#refuse('unauthentic');
    const ssrc = readUint32(packet, 4);
    const window = this.#rtcpWindows.get(ssrc) ?? new ReplayWindow();
    const index = readRtcpIndex(this.#suite, packet, packet.length, this.#mkiLength);
    if (!window.allows(index)) return this.#refuse('replayed');
    const length = this.#rtcp.openRtcp(packet, packet.length);
    if (length < 0) return this.#refuse('unauthentic');
    window.accept(index);
    remember(this.#rtcpWindows, ssrc, window);
    return length;
  }

  #refuse(why: keyof SrtpCounters): -1 {
    this.counters[why] += 1;
    return -1;
  }
}

/** The 48-bit index that a sequence number most likely stands for (RFC 3711 section 3.3.1). */
function nearestIndex(sequence: number, highest: number): number {
  if (highest < 0) return sequence;
  const cycle = highest - (highest % 0x10000);
  const index = cycle + sequence;
  if (index - highest > 0x8000 && cycle > 0) return index - 0x10000;
  return highest - index > 0x8000 ? index + 0x10000 : index;
}

/** Keeps the newest sources: only authentic packets get here. */
function remember(windows: Map<number, ReplayWindow>, ssrc: number, window: ReplayWindow): void {
  if (windows.has(ssrc)) return;
  if (windows.size >= MAX_SOURCES) {
    const [oldest] = windows.keys();
    if (oldest !== undefined) windows.delete(oldest);
  }
  windows.set(ssrc, window);
}

function highestOf(windows: ReadonlyMap<number, ReplayWindow>): HighestIndices {
  return [...windows].map(([ssrc, { highest }]) => [ssrc, highest]);
}

/** A phone that sends a packet each 20 ms is the usual one. */
const USUAL_SHARE = 0.5;

/** Which indices the packets of a call can have that another process received before. */
class Resumption {
  /** Some packet was authentic: what is of no listed SSRC then, is new. */
  isAnyHeard = false;
  readonly listed: HighestIndices;
  readonly #highest: ReadonlyMap<number, number>;
  readonly #before: ReceivedBefore;

  constructor(before: ReceivedBefore) {
    this.listed = before.rtp;
    this.#highest = new Map(before.rtp);
    this.#before = before;
  }

  /** The highest index that came of an SSRC; -1: none is known. */
  highestOf(ssrc: number): number {
    return this.#highest.get(ssrc) ?? -1;
  }

  /** The indices that a sequence number can stand for, the likeliest first. */
  indicesFor(ssrc: number, sequence: number): number[] {
    const { since, ever } = this.#before;
    const highest = this.highestOf(ssrc);
    if (highest < 0 && this.isAnyHeard) return [sequence];
    const possible = highest < 0 ? ever : since;
    const indices = [];
    const last = Math.max(0, highest) + possible + 0xffff;
    for (let index = sequence; index <= last; index += 0x10000) if (index > highest) indices.push(index);
    const likely = Math.max(0, highest) + possible * USUAL_SHARE;
    return indices.sort((a, b) => Math.abs(a - likely) - Math.abs(b - likely));
  }
}

/** Remembers which of the last 128 packet indices came (RFC 3711 section 3.3.2). */
class ReplayWindow {
  readonly #seen = new Float64Array(WINDOW).fill(-1);
  #highest: number;

  /** @param highest everything up to this index has come */
  constructor(highest = -1) {
    this.#highest = highest;
    for (let index = Math.max(0, highest - WINDOW + 1); index <= highest; index += 1)
      this.#seen[index % WINDOW] = index;
  }

  /** The highest index accepted, -1: none. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether a packet may be new: not seen, and not too old to be sure. */
  allows(index: number): boolean {
    return index > this.#highest - WINDOW && this.#seen[index % WINDOW] !== index;
  }

  accept(index: number): void {
    this.#seen[index % WINDOW] = index;
    if (index > this.#highest) this.#highest = index;
  }
}

/** Where a sender stands. */
export interface SentBefore {
  readonly rollover: number;
  /** Sequence number of the last packet; -1: none since `rollover` was set. */
  readonly lastSequence: number;
  readonly rtcpIndex: number;
}

const NOTHING_SENT: SentBefore = { rollover: 0, lastSequence: -1, rtcpIndex: 0 };

/** The 48-bit index of the packet after those (RFC 3711 section 3.3.1), which has this sequence number. */
export function indexAfter({ rollover, lastSequence }: SentBefore, sequence: number): number {
  return (sequence < lastSequence ? rollover + 1 : rollover) * 0x10000 + sequence;
}

/** Seals what we send: one SSRC, packets in order. */
export class SrtpSender {
  readonly #rtp: SrtpTransform;
  readonly #rtcp: SrtpTransform;
  #rollover: number;
  #lastSequence: number;
  #rtcpIndex: number;

  /** @param before where to go on; by default with a fresh key */
  constructor(suite: SrtpSuite, master: MasterKey, before: SentBefore = NOTHING_SENT) {
    this.#rtp = createTransform(suite, deriveRtpKeys(suite, master), 0);
    this.#rtcp = createTransform(suite, deriveRtcpKeys(suite, master), 0);
    this.#rollover = before.rollover;
    this.#lastSequence = before.lastSequence;
    this.#rtcpIndex = before.rtcpIndex;
  }

  get sent(): SentBefore {
    return { rollover: this.#rollover, lastSequence: this.#lastSequence, rtcpIndex: this.#rtcpIndex };
  }

  /**
   * Seals `packet[0, length)` in place; there must be room for {@link SRTP_OVERHEAD} more.
   * @returns the new length
   */
  protectRtp(packet: Buffer, length: number): number {
    const sequence = rtpSequence(packet);
    if (sequence < this.#lastSequence) this.#rollover += 1;
    this.#lastSequence = sequence;
    return this.#rtp.sealRtp(packet, rtpPayloadOffset(packet), length, this.#rollover);
  }

  /** @returns the sealed packet, in a buffer of its own */
  protectRtcp(packet: Buffer): Buffer {
    const sealed = Buffer.alloc(packet.length + SRTP_OVERHEAD);
    packet.copy(sealed);
    this.#rtcpIndex = (this.#rtcpIndex + 1) & 0x7fffffff;
    return sealed.subarray(0, this.#rtcp.sealRtcp(sealed, packet.length, this.#rtcpIndex));
  }
}

/** @param mkiLength bytes between payload and tag that opening leaves out */
function createTransform(suite: SrtpSuite, keys: SessionKeys, mkiLength: number): SrtpTransform {
  return suite.mode === 'gcm'
    ? new GcmTransform(suite, keys, mkiLength)
    : new CounterTransform(suite, keys, mkiLength);
}
