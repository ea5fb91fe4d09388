import type { OnReadOpts } from 'node:net';

const READ_BYTES = 64 * 1024;

/** The bytes that a connection brings: first the other end's greeting, then records. */
export class Incoming {
  /** What was read and nobody has taken yet: less than a read more than the greeting. */
  #early: Buffer = Buffer.alloc(0);
  #take: ((bytes: Buffer) => void) | undefined;

  /** Reads exactly so many bytes. To be called once, before {@link handTo}. */
  read(length: number): Promise<Buffer> {
    return new Promise((resolve) => {
      this.handTo((bytes) => {
        this.#early = Buffer.concat([this.#early, bytes]);
        if (this.#early.length < length) return;
        this.#take = undefined;
        const read = this.#early.subarray(0, length);
        this.#early = this.#early.subarray(length);
        resolve(read);
      });
    });
  }

  /** Hands on all that comes from now on. @param take gets bytes that are valid during the call */
  handTo(take: (bytes: Buffer) => void): void {
    const early = this.#early;
    this.#early = Buffer.alloc(0);
    this.#take = take;
    if (early.length > 0) take(early);
  }

  /** Called with what the connection brings, valid during the call. */
  readonly onBytes = (bytes: Buffer): void => {
    if (this.#take) this.#take(bytes);
    else this.#early = Buffer.concat([this.#early, bytes]);
  };
}

/**
 * Has a socket read into the same memory each time. Otherwise Node makes 64 KiB for each read, which costs more than all
 * else that a host does with a record.
 */
export function readInto(incoming: Incoming): OnReadOpts {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  return {
    buffer,
    callback: (length) => {
      incoming.onBytes(buffer.subarray(0, length));
      return true;
    },
  };
}
