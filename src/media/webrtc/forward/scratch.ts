/** Packets above this are not forwarded: no browser or phone sends them. */
export const MAX_FORWARDED_PACKET = 2048;

/**
 * Memory in which one outgoing packet is made. The transport copies on sending, so that one suffices for all; its
 * views are kept by length, for making one costs more than filling it.
 */
export class PacketScratch {
  readonly #memory = Buffer.allocUnsafeSlow(MAX_FORWARDED_PACKET);
  readonly #views: (Buffer | undefined)[] = [];

  /** The first `length` bytes; contents are those of the last use. */
  view(length: number): Buffer {
    return (this.#views[length] ??= this.#memory.subarray(0, length));
  }
}
