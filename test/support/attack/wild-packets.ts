/** RTP and RTCP that no correct sender makes, but that SRTP libraries send. */

const RTP_HEADER = 12;

/** Pseudo-random numbers that are the same in each run (xorshift). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** An integer from 0 to below `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return Math.floor(((this.#state >>> 0) / 2 ** 32) * limit);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** Any payload type, CSRC count, padding length and extension content, on one of a few sources or on any. */
export function wildRtp(dice: Dice, sources: readonly number[]): Buffer {
  const csrcs = dice.below(16);
  const extension = dice.below(2) === 1 ? wildExtension(dice) : Buffer.alloc(0);
  const padding = dice.below(4) === 0;
  const header = Buffer.alloc(RTP_HEADER);
  header[0] = 0x80 | (padding ? 0x20 : 0) | (extension.length > 0 ? 0x10 : 0) | csrcs;
  // Second bytes from 192 to 223 are RTCP's (RFC 5761 section 4).
  header[1] = dice.one([111, 239, 96, 224, dice.below(192), 224 + dice.below(32)]);
  header.writeUInt16BE(dice.below(65_536), 2);
  header.writeUInt32BE(dice.below(2 ** 32), 4);
  header.writeUInt32BE(dice.one([...sources, dice.below(2 ** 32)]), 8);
  return Buffer.concat([header, dice.bytes(4 * csrcs), extension, dice.bytes(dice.below(60))]);
}

/** An extension block with the right length whose elements have wrong lengths (RFC 8285 section 4). */
function wildExtension(dice: Dice): Buffer {
  const words = dice.below(5);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(dice.one([0xbede, 0x1000, 0x100f, dice.below(65_536)]), 0);
  head.writeUInt16BE(words, 2);
  return Buffer.concat([head, dice.bytes(4 * words)]);
}

/** Feedback and reports with wrong counts and lengths. */
export function wildRtcp(dice: Dice, sources: readonly number[]): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 0x80 | dice.below(64);
  head[1] = dice.one([200, 201, 202, 203, 204, 205, 206, 207, 192 + dice.below(32)]);
  head.writeUInt16BE(dice.one([0, 1, 6, 0xffff, dice.below(65_536)]), 2);
  head.writeUInt32BE(dice.one(sources), 4);
  const target = Buffer.alloc(4);
  target.writeUInt32BE(dice.one(sources));
  return Buffer.concat([head, dice.one([Buffer.alloc(0), target]), dice.bytes(4 * dice.below(30))]);
}
