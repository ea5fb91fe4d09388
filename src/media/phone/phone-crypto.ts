import { createMasterKey, sameMasterKey, SrtpReceiver, SrtpSender } from '../srtp/index.js';
import type { MasterKey, SrtpCounters, SrtpSuite } from '../srtp/index.js';
import type { SessionCrypto } from './sdp/crypto.js';

/** SRTP of one phone, or plain RTP as long as SRTP is not agreed. Keys live as long as the call. */
export class PhoneCrypto {
  readonly #localKeys = new Map<SrtpSuite, MasterKey>();
  #agreed: SessionCrypto | undefined;
  #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;

  /** Packets that were refused with the present key. */
  get counters(): Readonly<SrtpCounters> | undefined {
    return this.#receiver?.counters;
  }

  /** Our key for a suite: the same one in every description, so that a re-INVITE does not break the stream. */
  keyFor(suite: SrtpSuite): MasterKey {
    const known = this.#localKeys.get(suite);
    if (known) return known;
    const key = createMasterKey(suite);
    this.#localKeys.set(suite, key);
    return key;
  }

  /** Applies what was agreed; undefined: plain RTP. An unchanged key keeps its state. */
  apply(crypto: SessionCrypto | undefined): void {
    const before = this.#agreed;
    this.#agreed = crypto;
    if (!crypto) {
      this.#sender = undefined;
      this.#receiver = undefined;
      return;
    }
    const sameSuite = crypto.suite === before?.suite;
    if (!sameSuite) this.#sender = new SrtpSender(crypto.suite, this.keyFor(crypto.suite));
    if (!sameSuite || !sameMasterKey(crypto.remoteKey, before.remoteKey)) {
      this.#receiver = new SrtpReceiver(crypto.suite, crypto.remoteKey, this.#receiver);
    }
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
