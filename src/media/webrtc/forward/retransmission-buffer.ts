/** Packets kept, a power of two: about three seconds of video at 2.5 Mbit/s. */
const SLOTS = 1024;
const MAX_PACKET = 1500;

/** The last packets of a track, for subscribers that lost some. Slots are made as they are first needed. */
export class RetransmissionBuffer {
  readonly #sequences = new Int32Array(SLOTS).fill(-1);
  readonly #lengths = new Uint16Array(SLOTS);
  readonly #slots: (Buffer | undefined)[] = new Array<Buffer | undefined>(SLOTS).fill(undefined);

  /** Copies a packet; one that is too long is not kept. */
  store(sequence: number, packet: Buffer): void {
    if (packet.length > MAX_PACKET) return;
    const index = sequence & (SLOTS - 1);
    const slot = (this.#slots[index] ??= Buffer.allocUnsafeSlow(MAX_PACKET));
    packet.copy(slot);
    this.#sequences[index] = sequence;
    this.#lengths[index] = packet.length;
  }

  /** The packet with that sequence number, valid until the next {@link store}. */
  find(sequence: number): Buffer | undefined {
    const index = sequence & (SLOTS - 1);
    if (this.#sequences[index] !== sequence) return undefined;
    return this.#slots[index]!.subarray(0, this.#lengths[index]);
  }
}
