import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blankRtpExtension,
  findRtpExtension,
  isRtcp,
  nextSequence,
  rtpMarker,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDelta,
  SequenceUnwrapper,
  setRtpMarker,
  setRtpPayloadType,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  timestampDelta,
  writeRtpHeader,
} from './header.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('RTP header', () => {
  it('reads the fields of a plain packet', () => {
    const packet = hex('80e0 1234 89abcdef fedcba98 0102');
    expect(rtpPayloadOffset(packet)).toBe(12);
    expect(rtpPayloadEnd(packet, 12)).toBe(14);
    expect(rtpMarker(packet)).toBe(true);
    expect(rtpPayloadType(packet)).toBe(96);
    expect(rtpSequence(packet)).toBe(0x1234);
    expect(rtpTimestamp(packet)).toBe(0x89abcdef);
    expect(rtpSsrc(packet)).toBe(0xfedcba98);
  });

  it('steps over CSRCs and an extension block', () => {
    const packet = hex('9200 0001 00000000 00000001 00000002 00000003 bede0001 10aa0000 ff');
    expect(rtpPayloadOffset(packet)).toBe(28);
  });

  it('takes padding off', () => {
    const packet = hex('a000 0001 00000000 00000001 aabb 000003');
    expect(rtpPayloadEnd(packet, rtpPayloadOffset(packet))).toBe(14);
  });

  it.each([
    ['empty', ''],
    ['short', '8000 0001 00000000 000000'],
    ['version 1', '4000 0001 00000000 00000001'],
    ['CSRC count beyond the end', '8100 0001 00000000 00000001'],
    ['extension header beyond the end', '9000 0001 00000000 00000001 bede'],
    ['extension length beyond the end', '9000 0001 00000000 00000001 bedeffff 00000000'],
  ])('refuses a packet: %s', (_what, text) => {
    expect(rtpPayloadOffset(hex(text))).toBe(-1);
  });

  it.each([
    ['zero', 'a000 0001 00000000 00000001 aabb 00'],
    ['more than there is', 'a000 0001 00000000 00000001 aabb 05'],
    ['none to count', 'a000 0001 00000000 00000000'],
  ])('refuses padding: %s', (_what, text) => {
    expect(rtpPayloadEnd(hex(text), 12)).toBe(-1);
  });

  it('writes what it reads, wrapping what is too large', () => {
    const packet = Buffer.alloc(12);
    writeRtpHeader(packet, 101, true, 65535, 0xfffffff0, 0xdeadbeef);
    setRtpSequence(packet, rtpSequence(packet) + 1);
    setRtpTimestamp(packet, rtpTimestamp(packet) + 160);
    expect(rtpSequence(packet)).toBe(0);
    expect(rtpTimestamp(packet)).toBe(144);
    expect(rtpSsrc(packet)).toBe(0xdeadbeef);
    setRtpMarker(packet, false);
    setRtpPayloadType(packet, 8);
    setRtpSsrc(packet, 7);
    expect([rtpMarker(packet), rtpPayloadType(packet), rtpSsrc(packet)]).toEqual([false, 8, 7]);
  });

  it('tells RTCP from RTP on one port', () => {
    expect(isRtcp(hex('80c8'))).toBe(true);
    expect(isRtcp(hex('80e0'))).toBe(false);
    expect(isRtcp(hex('80'))).toBe(false);
  });
});

describe('RTP header extensions', () => {
  const span = { offset: 0, length: 0 };
  const oneByte = hex('9000 0001 00000000 00000001 bede0002 10aa 00 32010203 00 ff');
  const twoByte = hex('9000 0001 00000000 00000001 10000003 0100 00 1003010203 00 0201ee 00 ff');

  it('finds elements of the one-byte form', () => {
    expect(findRtpExtension(oneByte, rtpPayloadOffset(oneByte), 3, span)).toBe(true);
    expect(span).toEqual({ offset: 20, length: 3 });
    expect(findRtpExtension(oneByte, rtpPayloadOffset(oneByte), 2, span)).toBe(false);
  });

  it('finds elements of the two-byte form, empty ones too', () => {
    const payload = rtpPayloadOffset(twoByte);
    expect(findRtpExtension(twoByte, payload, 1, span)).toBe(true);
    expect(span.length).toBe(0);
    expect(findRtpExtension(twoByte, payload, 16, span)).toBe(true);
    expect(span.length).toBe(3);
    expect(findRtpExtension(twoByte, payload, 2, span)).toBe(true);
    expect(twoByte[span.offset]).toBe(0xee);
  });

  it('blanks an element and leaves the others', () => {
    const packet = Buffer.from(oneByte);
    expect(blankRtpExtension(packet, rtpPayloadOffset(packet), 1)).toBe(true);
    expect(packet.subarray(16, 19)).toEqual(hex('000000'));
    expect(findRtpExtension(packet, rtpPayloadOffset(packet), 3, span)).toBe(true);
  });

  it('does not read over the block when an element lies about its length', () => {
    const lying = hex('9000 0001 00000000 00000001 bede0001 1f0000 11 ffff');
    expect(findRtpExtension(lying, rtpPayloadOffset(lying), 1, span)).toBe(false);
    const cut = hex('9000 0001 00000000 00000001 10000001 000000 01');
    expect(findRtpExtension(cut, rtpPayloadOffset(cut), 1, span)).toBe(false);
  });

  it('stays inside any packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 255 }), (bytes, id) => {
        if (bytes.length > 0) bytes[0] = (bytes[0]! & 0x3f) | 0x80;
        const offset = rtpPayloadOffset(bytes);
        if (offset < 0) return;
        expect(offset).toBeLessThanOrEqual(bytes.length);
        const end = rtpPayloadEnd(bytes, offset);
        expect(end === -1 || (end >= offset && end <= bytes.length)).toBe(true);
        if (findRtpExtension(bytes, offset, id, span)) {
          expect(span.offset + span.length).toBeLessThanOrEqual(offset);
          expect(blankRtpExtension(bytes, offset, id)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('sequence arithmetic', () => {
  it('compares over the wrap', () => {
    expect(sequenceDelta(2, 65534)).toBe(4);
    expect(sequenceDelta(65534, 2)).toBe(-4);
    expect(timestampDelta(100, 0xffffffff)).toBe(101);
    expect(timestampDelta(0xffffffff, 100)).toBe(-101);
    expect(nextSequence(65535)).toBe(0);
  });

  it('counts on over the wrap, late packets before it', () => {
    const unwrapper = new SequenceUnwrapper();
    const first = unwrapper.unwrap(65534);
    expect(unwrapper.unwrap(1)).toBe(first + 3);
    expect(unwrapper.unwrap(65535)).toBe(first + 1);
    expect(unwrapper.unwrap(2)).toBe(first + 4);
  });
});
