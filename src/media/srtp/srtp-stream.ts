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

  /** @param before the receiver that this one replaces after a change of keys */
  constructor(suite: SrtpSuite, master: MasterKey, before?: SrtpReceiver) {
    this.#before = before ? before.#rtpWindows : new Map<number, ReplayWindow>();
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

/** Remembers which of the last 128 packet indices came (RFC 3711 section 3.3.2). */
class ReplayWindow {
  readonly #seen = new Float64Array(WINDOW).fill(-1);
  #highest = -1;

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

/** Seals what we send: one SSRC, packets in order. */
export class SrtpSender {
  readonly #rtp: SrtpTransform;
  readonly #rtcp: SrtpTransform;
  #rollover = 0;
  #lastSequence = -1;
  #rtcpIndex = 0;

  constructor(suite: SrtpSuite, master: MasterKey) {
    this.#rtp = createTransform(suite, deriveRtpKeys(suite, master), 0);
    this.#rtcp = createTransform(suite, deriveRtcpKeys(suite, master), 0);
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
