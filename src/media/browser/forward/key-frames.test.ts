import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beginsKeyFrame } from './key-frames.js';

const begins = (codec: string, hex: string): boolean => {
  const packet = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return beginsKeyFrame(codec, packet, 0, packet.length);
};

describe('key frames', () => {
  it.each([
    ['VP8', 'key frame', '10 00', true],
    ['VP8', 'interframe', '10 01', false],
    ['VP8', 'later partition', '11 00', false],
    ['VP8', 'continuation', '00 00', false],
    ['VP8', 'key frame behind a 15-bit picture id, TL0PICIDX and TID', '90 e0 81 23 05 20 00', true],
    ['VP8', 'interframe behind the same', '90 e0 81 23 05 20 01', false],
    ['VP8', 'key frame behind a 7-bit picture id', '90 80 23 00', true],
    ['VP8', 'descriptor without a payload', '90 80 81', false],
    ['VP9', 'key frame', '88 00', true],
    ['VP9', 'interframe', 'c8 00', false],
    ['VP9', 'middle of a key frame', '80 00', false],
    ['H264', 'IDR', '65 88', true],
    ['H264', 'SPS', '67 42', true],
    ['H264', 'slice', '41 9a', false],
    ['H264', 'STAP-A with SPS first', '78 0002 6742 0002 68ce', true],
    ['H264', 'STAP-A with an IDR last', '78 0002 0600 0002 6588', true],
    ['H264', 'STAP-A of slices', '78 0002 419a', false],
    ['H264', 'first fragment of an IDR', '7c 85', true],
    ['H264', 'later fragment of an IDR', '7c 05', false],
    ['AV1', 'new sequence', '18 0a', true],
    ['AV1', 'same sequence', '10 32', false],
    ['opus', 'audio', '10 00', false],
  ])('%s: %s', (codec, _what, hex, expected) => {
    expect(begins(codec, hex)).toBe(expected);
  });

  it('are looked for in any bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('VP8', 'VP9', 'H264', 'AV1'),
        fc.uint8Array({ maxLength: 40 }),
        (codec, bytes) => {
          expect(beginsKeyFrame(codec, Buffer.from(bytes), 0, bytes.length)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 2000 },
    );
  });
});
