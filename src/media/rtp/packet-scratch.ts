/** Packets above this are not forwarded: no browser or phone sends them. */
export const MAX_FORWARDED_PACKET = 2048;

/**
 * Memory for one packet on its way, which whoever gets it copies. Views are kept by length, since making a view costs
 * more than filling it.
 */
export class PacketScratch {
  readonly #memory = Buffer.allocUnsafeSlow(MAX_FORWARDED_PACKET);
  readonly #views: (Buffer | undefined)[] = [];

  /** The first `length` bytes; contents are those of the last use. */
  view(length: number): Buffer {
    return (this.#views[length] ??= this.#memory.subarray(0, length));
  }
}
