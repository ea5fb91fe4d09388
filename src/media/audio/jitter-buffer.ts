import { rtpSequence, rtpSsrc, rtpTimestamp, sequenceDelta, SequenceUnwrapper } from '../rtp/index.js';

/** Slots of the ring, a power of two: 1.28 s of 10 ms packets, so that a burst of a second fits. */
const SLOTS = 128;
/** No audio payload of a phone or browser is larger. */
const MAX_PAYLOAD = 1500;

export interface JitterCounters {
  received: number;
  /** Came after their turn had been played. */
  late: number;
  duplicate: number;
  /** Had not come when their turn was played. */
  lost: number;
  /** Dropped to limit the delay, or because they did not fit. */
  overflow: number;
  /** How often the publisher started over: other SSRC, or sequence numbers far from the last. */
  restarts: number;
}

/**
 * What `insert` did with a packet. `restarted`: it was stored, and everything before it was dropped. `late`: its turn
 * has been played without it.
 */
export type Inserted = 'stored' | 'restarted' | 'late' | 'dropped';

/** One stored payload; valid until the next `insert` of the buffer that gave it. */
interface StoredPacket {
  readonly payload: Buffer;
  readonly length: number;
  readonly timestamp: number;
}

interface Slot {
  payload: Buffer;
  length: number;
  timestamp: number;
  /** Extended sequence number of the stored packet; -1: free. */
  sequence: number;
  /** Sequence number of the packet that was played last from here, to tell its duplicate from a late packet. */
  played: number;
}

const NO_PAYLOAD = Buffer.alloc(0);

/**
 * Puts the packets of one stream into order: a ring by sequence number, into which payloads are copied. It knows no time:
 * `Playout` decides when a packet is due.
 */
export class JitterBuffer {
  readonly counters: JitterCounters = {
    received: 0,
    late: 0,
    duplicate: 0,
    lost: 0,
    overflow: 0,
    restarts: 0,
  };
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => ({
    payload: NO_PAYLOAD,
    length: 0,
    timestamp: 0,
    sequence: -1,
    played: -1,
  }));
  /** Memory of payloads that have been played: the last is taken first, so that a stream needs no more than it buffers. */
  readonly #spare: Buffer[] = [];
  readonly #unwrapper = new SequenceUnwrapper();
  #ssrc = -1;
  /** Lowest sequence number that may still be played; -1: no packet yet. */
  #next = -1;
  #highest = -1;
  #stored = 0;
  #played = false;
  /** The number after the last packet that was too far away: if that comes next, the stream moved there. */
  #strayNext = -1;

  get size(): number {
    return this.#stored;
  }

  /** Stores a packet's payload. */
  insert(packet: Buffer, payloadOffset: number, payloadEnd: number): Inserted {
    this.counters.received += 1;
    if (payloadEnd - payloadOffset > MAX_PAYLOAD) {
      this.counters.overflow += 1;
      return 'dropped';
    }
    const followed = this.#follow(rtpSsrc(packet), rtpSequence(packet));
    if (followed === 'dropped') return followed;
    const stored = this.#store(packet, payloadOffset, payloadEnd);
    return stored === 'stored' ? followed : stored;
  }

  /** The earliest stored packet, without removing it; undefined if there is none. */
  peek(): StoredPacket | undefined {
    if (this.#stored === 0) return undefined;
    for (let sequence = this.#next; sequence <= this.#highest; sequence += 1) {
      const slot = this.#slots[sequence % SLOTS]!;
      if (slot.sequence === sequence) return slot;
    }
    return undefined;
  }

  /** Removes the packet that `peek` returns, and counts missing ones before it as lost. */
  shift(): void {
    if (this.#stored === 0) return;
    this.#played = true;
    for (; ; this.#next += 1) {
      const slot = this.#slots[this.#next % SLOTS]!;
      if (slot.sequence === this.#next) {
        this.#free(slot);
        slot.played = this.#next;
        this.#next += 1;
        return;
      }
      this.counters.lost += 1;
    }
  }

  /** Drops the earliest packet to limit the delay. */
  discard(): void {
    if (this.#stored === 0) return;
    this.shift();
    this.counters.overflow += 1;
  }

  /** Checks that a packet continues the stream, and starts over when the publisher did. */
  #follow(ssrc: number, sequence: number): Inserted {
    if (this.#ssrc === -1) {
      this.#ssrc = ssrc;
      return 'stored';
    }
    if (ssrc !== this.#ssrc) {
      this.#restart(ssrc);
      return 'restarted';
    }
    const distance = this.#highest < 0 ? 0 : sequenceDelta(sequence, this.#highest & 0xffff);
    if (Math.abs(distance) < SLOTS) {
      this.#strayNext = -1;
      return 'stored';
    }
    // One packet far away is an error of the network; two in a row mean that the publisher jumped (RFC 3550 A.1).
    if (sequence === this.#strayNext) {
      this.#restart(ssrc);
      return 'restarted';
    }
    this.#strayNext = (sequence + 1) & 0xffff;
    this.counters.overflow += 1;
    return 'dropped';
  }

  #restart(ssrc: number): void {
    this.#ssrc = ssrc;
    this.#next = -1;
    this.#highest = -1;
    this.#played = false;
    this.#strayNext = -1;
    this.#unwrapper.reset();
    for (const slot of this.#slots) {
      if (slot.sequence >= 0) this.#free(slot);
      slot.played = -1;
    }
    this.counters.restarts += 1;
  }

  #store(packet: Buffer, payloadOffset: number, payloadEnd: number): Inserted {
    const sequence = this.#unwrapper.unwrap(rtpSequence(packet));
    // Until something is played, a packet may still come before the first.
    const inFront = !this.#played && sequence < this.#next && this.#highest - sequence < SLOTS;
    if (this.#highest < 0 || inFront) this.#next = sequence;
    if (sequence < this.#next) return this.#refuse(sequence);
    while (sequence - this.#next >= SLOTS) this.#makeRoom();
    const slot = this.#slots[sequence % SLOTS]!;
    if (slot.sequence === sequence) {
      this.counters.duplicate += 1;
      return 'dropped';
    }
    slot.payload = this.#copy(packet, payloadOffset, payloadEnd);
    slot.length = payloadEnd - payloadOffset;
    slot.timestamp = rtpTimestamp(packet);
    slot.sequence = sequence;
    this.#stored += 1;
    if (sequence > this.#highest) this.#highest = sequence;
    return 'stored';
  }

  #copy(packet: Buffer, start: number, end: number): Buffer {
    const length = end - start;
    let payload = this.#spare.pop() ?? NO_PAYLOAD;
    if (payload.length < length) payload = Buffer.allocUnsafeSlow((length + 255) & ~255);
    packet.copy(payload, 0, start, end);
    return payload;
  }

  #free(slot: Slot): void {
    this.#spare.push(slot.payload);
    slot.payload = NO_PAYLOAD;
    slot.sequence = -1;
    this.#stored -= 1;
  }

  #refuse(sequence: number): Inserted {
    const isDuplicate = this.#slots[sequence % SLOTS]!.played === sequence;
    this.counters[isDuplicate ? 'duplicate' : 'late'] += 1;
    return isDuplicate ? 'dropped' : 'late';
  }

  /** Drops the earliest slot of the ring. */
  #makeRoom(): void {
    const slot = this.#slots[this.#next % SLOTS]!;
    if (slot.sequence === this.#next) {
      this.#free(slot);
      this.counters.overflow += 1;
    } else {
      this.counters.lost += 1;
    }
    this.#next += 1;
  }
}
