/** A small seeded generator of random numbers (mulberry32), so that a failure can be run again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, not including, `below`. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

const DICTIONARY = [
  '\r\n',
  '\r\n\r\n',
  '\r\n ',
  '\n',
  '\0',
  '"',
  '\\',
  '<',
  '>',
  ';',
  ',',
  ':',
  '@',
  '|',
  '#',
  '%',
  '=',
  ' ',
  '\t',
  '\xff\xfe',
  'sip:',
  'tel:',
  ';tag=',
  ';rport',
  ';branch=z9hG4bK',
  ';maddr=127.0.0.1',
  '4294967296',
  '-1',
  '99999999999999999999',
  'SIP/2.0',
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  '__proto__: x\r\n',
  'constructor: x\r\n',
  'Content-Length: 5\r\n',
  'Require: 100rel\r\n',
  'Session-Expires: 1\r\n',
  'RAck: 1 1 INVITE\r\n',
  'Contact: *\r\n',
  'Route: <sip:127.0.0.1;lr>\r\n',
  'Record-Route: <sip:x;lr>,<sip:y>\r\n',
  'Replaces: a;to-tag=b;from-tag=c\r\n',
];

type Mutation = (bytes: Buffer, random: Random, corpus: readonly Buffer[]) => Buffer;

function splice(bytes: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

const NOTHING = Buffer.alloc(0);

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => splice(bytes, random.below(bytes.length), 1, Buffer.from([random.below(256)])),
  (bytes, random) => splice(bytes, random.below(bytes.length), random.below(40), NOTHING),
  (bytes, random) =>
    splice(bytes, random.below(bytes.length), 0, Buffer.from(random.pick(DICTIONARY), 'latin1')),
  (bytes, random) =>
    splice(bytes, random.below(bytes.length), 8, Buffer.from(random.pick(DICTIONARY), 'latin1')),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => {
    const at = random.below(bytes.length);
    const part = bytes.subarray(at, at + random.below(60));
    return splice(bytes, at, 0, Buffer.concat(Array<Buffer>(random.below(50)).fill(part)));
  },
  (bytes, random) => {
    const lines = bytes.toString('latin1').split('\r\n');
    const [line = ''] = lines.splice(random.below(lines.length), 1);
    lines.splice(random.below(lines.length + 1), 0, ...Array<string>(random.below(4)).fill(line));
    return Buffer.from(lines.join('\r\n'), 'latin1');
  },
  (bytes, random) => {
    const text = bytes
      .toString('latin1')
      .replace(/\d+/g, (digits) => (random.below(8) === 0 ? '9'.repeat(12) : digits));
    return Buffer.from(text, 'latin1');
  },
  (bytes, random, corpus) => {
    const other = random.pick(corpus);
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length)),
      other.subarray(random.below(other.length)),
    ]);
  },
];

/** A message of the corpus with one to four random mutations. */
export function mutate(corpus: readonly Buffer[], random: Random): Buffer {
  let bytes = random.pick(corpus);
  for (let left = 1 + random.below(4); left > 0 && bytes.length > 0; left--) {
    bytes = random.pick(MUTATIONS)(bytes, random, corpus);
  }
  // A datagram holds no more.
  return bytes.subarray(0, 60_000);
}
