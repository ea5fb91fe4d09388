const NONE = Buffer.alloc(0);
const LEAST_CAPACITY = 1024;

/**
 * Bytes of a stream that wait for more. They are appended in time by what comes, not by what waits: who sends byte by
 * byte costs no more than the bytes. What was taken stays valid.
 */
export class ByteQueue {
  #buffer: Buffer = NONE;
  #start = 0;
  #end = 0;
  /** Whether there may be room after the end that nobody else writes to. */
  #own = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /** What waits; not to be written to. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  push(chunk: Buffer): void {
    if (this.length === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    if (!this.#own || this.#buffer.length - this.#end < chunk.length) this.#grow(chunk.length);
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** Takes bytes from the front. */
  take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += taken.length;
    return taken;
  }

  #grow(more: number): void {
    const { length } = this;
    const grown = Buffer.allocUnsafe(Math.max(LEAST_CAPACITY, (length + more) * 2));
    this.#buffer.copy(grown, 0, this.#start, this.#end);
    this.#buffer = grown;
    this.#start = 0;
    this.#end = length;
    this.#own = true;
  }
}
