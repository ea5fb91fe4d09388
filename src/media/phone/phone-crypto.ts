import {
  createMasterKey,
  findSrtpSuite,
  type HighestIndices,
  indexAfter,
  type MasterKey,
  type ReceivedBefore,
  sameMasterKey,
  type SentBefore,
  type SrtpCounters,
  SrtpReceiver,
  SrtpSender,
  type SrtpSuite,
} from '../srtp/index.js';
import type { SessionCrypto } from './sdp/crypto.js';

/** Most packets that a phone sends in a second: one each 10 ms. */
const MAX_RECEIVED_PER_SECOND = 100;
/** SRTCP packets in a second that are more than any phone or gateway sends. */
const MAX_RTCP_PER_SECOND = 1;
/** How far SRTCP indices jump ahead of all that can have been sent. */
const RTCP_MARGIN = 100;
/** After this many packets from the phone, the state for another process is sent again. */
const RECEIVED_STRIDE = 0x8000;

/** What another process needs to go on with SRTP. It contains keys. */
export interface CryptoState {
  /** Our keys, in base64, by suite, and what was sent with each. */
  readonly local: readonly (readonly [suite: string, key: string, sent: SentBefore | null])[];
  /** Sequence number of the next packet. */
  readonly sequence: number;
  /** Age of the call. */
  readonly ageMs: number;
  readonly rtp: HighestIndices;
  readonly rtcp: HighestIndices;
}

/** A state of another process, and what can have happened since. */
export interface CryptoBefore {
  readonly state: CryptoState;
  readonly ageMs: number;
  /** How far the numbers of our packets jump. */
  readonly skipped: number;
}

type Received = SrtpReceiver | ReceivedBefore | undefined;

/** SRTP of one phone, or plain RTP as long as SRTP is not agreed. Keys live as long as the call. */
export class PhoneCrypto {
  readonly #localKeys = new Map<SrtpSuite, MasterKey>();
  /** Of each suite that was ever agreed: one that is agreed again must not use its key streams twice. */
  readonly #senders = new Map<SrtpSuite, SrtpSender>();
  readonly #before: CryptoBefore | undefined;
  readonly #startedAt: number;
  #agreed: SessionCrypto | undefined;
  #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;
  #receivedAtState = 0;

  /** @param before the state of the process that died */
  constructor(nowMs: number, before?: CryptoBefore) {
    this.#startedAt = nowMs - (before ? before.state.ageMs + before.ageMs : 0);
    this.#before = before;
    for (const [name, text, sent] of before?.state.local ?? []) {
      const suite = findSrtpSuite(name);
      if (!before || !suite) continue;
      const bytes = Buffer.from(text, 'base64');
      const { keyLength } = suite;
      const key = { key: bytes.subarray(0, keyLength), salt: bytes.subarray(keyLength), mkiLength: 0 };
      this.#localKeys.set(suite, key);
      if (sent) this.#senders.set(suite, new SrtpSender(suite, key, jumpAhead(sent, before)));
    }
  }

  /** Packets that were refused with the present key. */
  get counters(): Readonly<SrtpCounters> | undefined {
    return this.#receiver?.counters;
  }

  /** Whether so many packets came since the last {@link state} that it should be sent again. */
  get hasReceivedMuch(): boolean {
    return newestOf(this.#receiver) - this.#receivedAtState > RECEIVED_STRIDE;
  }

  /** @param sequence of the next packet */
  state(sequence: number, nowMs: number): CryptoState {
    this.#receivedAtState = newestOf(this.#receiver);
    return {
      local: [...this.#localKeys].map(([suite, { key, salt }]) => [
        suite.name,
        Buffer.concat([key, salt]).toString('base64'),
        this.#senders.get(suite)?.sent ?? null,
      ]),
      sequence,
      ageMs: Math.round(nowMs - this.#startedAt),
      rtp: this.#receiver?.highestRtp ?? [],
      rtcp: this.#receiver?.highestRtcp ?? [],
    };
  }

  /** Our key for a suite: the same one in every description, so that a re-INVITE does not break the stream. */
  keyFor(suite: SrtpSuite): MasterKey {
    const known = this.#localKeys.get(suite);
    if (known) return known;
    const key = createMasterKey(suite);
    this.#localKeys.set(suite, key);
    return key;
  }

  /** Goes on with what was agreed in the process that died. */
  resume(crypto: SessionCrypto | undefined): void {
    this.#follow(crypto, receivedBefore(this.#before));
  }

  /** Applies what was agreed; undefined: plain RTP. An unchanged key keeps its state. */
  apply(crypto: SessionCrypto | undefined): void {
    this.#follow(crypto, this.#receiver);
  }

  #follow(crypto: SessionCrypto | undefined, received: Received): void {
    const before = this.#agreed;
    this.#agreed = crypto;
    if (!crypto) {
      this.#sender = undefined;
      this.#receiver = undefined;
      return;
    }
    const { suite, remoteKey } = crypto;
    const sender = this.#senders.get(suite) ?? new SrtpSender(suite, this.keyFor(suite));
    this.#senders.set(suite, sender);
    this.#sender = sender;
    if (suite === before?.suite && sameMasterKey(remoteKey, before.remoteKey)) return;
    this.#receiver = new SrtpReceiver(suite, remoteKey, received);
    this.#receivedAtState = newestOf(this.#receiver);
  }

  /** @returns length of the packet to be sent */
  sealRtp(packet: Buffer, length: number): number {
    return this.#sender?.protectRtp(packet, length) ?? length;
  }

  sealRtcp(packet: Buffer): Buffer {
    return this.#sender?.protectRtcp(packet) ?? packet;
  }

  /** @returns the plain packet, undefined when it is not the phone's */
  openRtp(packet: Buffer): Buffer | undefined {
    return this.#receiver ? cut(packet, this.#receiver.unprotectRtp(packet)) : packet;
  }

  /** @returns the plain packet, undefined when it is not the phone's */
  openRtcp(packet: Buffer): Buffer | undefined {
    return this.#receiver ? cut(packet, this.#receiver.unprotectRtcp(packet)) : packet;
  }
}

function cut(packet: Buffer, length: number): Buffer | undefined {
  return length < 0 ? undefined : packet.subarray(0, length);
}

/** Beyond all that the other process can have sent, so that no key stream is used twice. */
function jumpAhead(sent: SentBefore, { state, ageMs, skipped }: CryptoBefore): SentBefore {
  const next = indexAfter(sent, state.sequence) + skipped;
  const reports = Math.ceil((ageMs / 1000) * MAX_RTCP_PER_SECOND) + RTCP_MARGIN;
  return {
    rollover: Math.floor(next / 0x10000),
    lastSequence: -1,
    rtcpIndex: sent.rtcpIndex + reports,
  };
}

function receivedBefore(before: CryptoBefore | undefined): Received {
  if (!before) return undefined;
  const { state, ageMs } = before;
  const packets = (ms: number): number => Math.ceil((ms / 1000) * MAX_RECEIVED_PER_SECOND);
  return { rtp: state.rtp, rtcp: state.rtcp, since: packets(ageMs), ever: packets(state.ageMs + ageMs) };
}

/** The highest index that came; it grows with the packets of the SSRC in use. */
function newestOf(receiver: SrtpReceiver | undefined): number {
  return Math.max(0, ...(receiver?.highestRtp ?? []).map(([, index]) => index));
}
