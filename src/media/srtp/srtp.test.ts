import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeRtcpReport } from '../rtp/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { CounterTransform, GcmTransform } from './transform.js';
import {
  createMasterKey,
  deriveRtcpKeys,
  deriveRtpKeys,
  findSrtpSuite,
  readInlineKey,
  SRTP_SUITES,
  writeInlineKey,
} from './keys.js';
import { SrtpReceiver, SrtpSender } from './srtp-stream.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const suite = (name: string): (typeof SRTP_SUITES)[number] => findSrtpSuite(name)!;
/** Four packets around the wrap of the sequence number and one of RTCP for each suite, sealed by libsrtp 2.5. */
const libsrtp = JSON.parse(readFileSync(new URL('testing/libsrtp.json', import.meta.url), 'utf8')) as Record<
  string,
  { key: string; rtp: string[]; rtcp: string }
>;
const CM_80 = suite('AES_CM_128_HMAC_SHA1_80');

describe('key derivation (RFC 3711 appendix B.3)', () => {
  const master = {
    key: hex('E1F97A0D3E018BE0D64FA32C06DE4139'),
    salt: hex('0EC675AD498AFEEBB6960B3AABE6'),
    mkiLength: 0,
  };

  it('gives the session keys of the RFC', () => {
    const keys = deriveRtpKeys(CM_80, master);
    expect(keys.cipher).toEqual(hex('C61E7A93744F39EE10734AFE3FF7A087'));
    expect(keys.salt).toEqual(hex('30CBBC08863D8C85D49DB34A9AE1'));
    expect(keys.auth).toEqual(hex('CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4'));
  });

  it('gives RTCP other keys', () => {
    expect(deriveRtcpKeys(CM_80, master).cipher).not.toEqual(deriveRtpKeys(CM_80, master).cipher);
  });

  it('derives by AES-256 for 256-bit keys (RFC 6188 section 7.2)', () => {
    const keys = deriveRtpKeys(suite('AES_256_CM_HMAC_SHA1_80'), {
      key: hex('f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6'),
      salt: hex('3b04803de51ee7c96423ab5b78d2'),
      mkiLength: 0,
    });
    expect(keys.cipher).toEqual(hex('5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4'));
    expect(keys.salt).toEqual(hex('fa31791685ca444a9e07c6c64e93'));
    expect(keys.auth).toEqual(hex('fd9c32d39ed5fbb5a9dc96b30818454d1313dc05'));
  });
});

describe('AES counter mode', () => {
  it('makes the key stream of RFC 3711 appendix B.2', () => {
    const keys = {
      cipher: hex('2B7E151628AED2A6ABF7158809CF4F3C'),
      salt: hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD'),
      auth: Buffer.alloc(20),
    };
    // SSRC and index zero: over zeros the cipher text is the key stream.
    const packet = Buffer.alloc(12 + 48 + 10);
    packet[0] = 0x80;
    new CounterTransform(CM_80, keys, 0).sealRtp(packet, 12, 60, 0);
    expect(packet.subarray(12, 60)).toEqual(
      hex(
        'E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0',
      ),
    );
  });
});

describe('AES-GCM (RFC 7714 sections 16 and 17)', () => {
  const salt = hex('51756964 2070726f 2071756f');
  const plain = hex(
    '8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573',
  );
  const rtp = [
    [
      'AEAD_AES_128_GCM',
      '000102030405060708090a0b0c0d0e0f',
      'f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce',
    ],
    [
      'AEAD_AES_256_GCM',
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      '32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13',
    ],
  ] as const;

  it.each(rtp)('seals and opens RTP with %s', (name, key, cipherText) => {
    const transform = new GcmTransform(suite(name), { cipher: hex(key), salt, auth: Buffer.alloc(0) }, 0);
    const packet = Buffer.concat([plain, Buffer.alloc(16)]);
    expect(transform.sealRtp(packet, 12, plain.length, 0)).toBe(packet.length);
    expect(packet.subarray(12)).toEqual(hex(cipherText));
    expect(transform.openRtp(packet, 12, packet.length, 0)).toBe(plain.length);
    expect(packet.subarray(0, plain.length)).toEqual(plain);
  });

  it('seals and opens RTCP with AEAD_AES_128_GCM', () => {
    const transform = new GcmTransform(
      suite('AEAD_AES_128_GCM'),
      { cipher: hex('000102030405060708090a0b0c0d0e0f'), salt, auth: Buffer.alloc(0) },
      0,
    );
    const report = hex(
      '81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef',
    );
    const packet = Buffer.concat([report, Buffer.alloc(20)]);
    expect(transform.sealRtcp(packet, report.length, 0x5d4)).toBe(packet.length);
    expect(packet).toEqual(
      hex(
        '81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4',
      ),
    );
    expect(transform.openRtcp(packet, packet.length)).toBe(report.length);
    expect(packet.subarray(0, report.length)).toEqual(report);
  });
});

describe.each(SRTP_SUITES.map(({ name }) => name))('SRTP with %s', (name) => {
  const master = createMasterKey(suite(name));

  const seal = (sender: SrtpSender, sequence: number, ssrc = 1): Buffer => {
    const plain = rtpPacket({ sequence, timestamp: sequence * 160, ssrc });
    const room = Buffer.concat([plain, Buffer.alloc(20)]);
    return room.subarray(0, sender.protectRtp(room, plain.length));
  };

  it('carries packets over the wrap of the sequence number, out of order too', () => {
    const sender = new SrtpSender(suite(name), master);
    const receiver = new SrtpReceiver(suite(name), master);
    const sealed = [65533, 65534, 65535, 0, 1, 2].map((sequence) => seal(sender, sequence));
    for (const i of [0, 3, 1, 2, 5, 4]) {
      const packet = Buffer.from(sealed[i]!);
      const length = receiver.unprotectRtp(packet);
      expect(length).toBe(172);
      expect(packet.subarray(12, length).every((byte) => byte === 0xff)).toBe(true);
    }
  });

  it('seals and opens byte for byte as libsrtp 2 does, over the wrap', () => {
    const sealed = libsrtp[name]!;
    const bytes = hex(sealed.key);
    const { keyLength } = suite(name);
    const key = { key: bytes.subarray(0, keyLength), salt: bytes.subarray(keyLength), mkiLength: 0 };
    const sender = new SrtpSender(suite(name), key);
    const receiver = new SrtpReceiver(suite(name), key);
    for (const text of sealed.rtp) {
      const packet = hex(text);
      const length = receiver.unprotectRtp(packet);
      expect(packet.subarray(12, length)).toEqual(Buffer.from(Array.from({ length: 100 }, (_, i) => i)));
      expect(sender.protectRtp(packet, length)).toBe(packet.length);
      expect(packet.toString('hex')).toBe(text);
    }
    const report = hex(sealed.rtcp);
    const length = receiver.unprotectRtcp(report);
    expect(sender.protectRtcp(report.subarray(0, length)).toString('hex')).toBe(sealed.rtcp);
  });

  it.each([
    ['goes on', true],
    ['starts over', false],
  ])('accepts new keys when the roll-over counter %s', (_which, goesOn) => {
    const receiver = new SrtpReceiver(suite(name), master);
    const sender = new SrtpSender(suite(name), master);
    for (const sequence of [65535, 0, 1]) receiver.unprotectRtp(seal(sender, sequence));
    const next = createMasterKey(suite(name));
    const rekeyed = new SrtpSender(suite(name), next);
    if (goesOn) seal(rekeyed, 65535);
    const after = new SrtpReceiver(suite(name), next, receiver);
    expect(after.unprotectRtp(seal(rekeyed, 2))).toBe(172);
    expect(after.unprotectRtp(seal(rekeyed, 3))).toBe(172);
  });

  it('refuses a replay', () => {
    const receiver = new SrtpReceiver(suite(name), master);
    const packet = seal(new SrtpSender(suite(name), master), 5);
    expect(receiver.unprotectRtp(Buffer.from(packet))).toBe(172);
    expect(receiver.unprotectRtp(Buffer.from(packet))).toBe(-1);
    expect(receiver.counters.replayed).toBe(1);
  });

  it('refuses a packet that is changed anywhere, and accepts the good one after it', () => {
    const packet = seal(new SrtpSender(suite(name), master), 5);
    const receiver = new SrtpReceiver(suite(name), master);
    for (const at of [1, 2, 8, 12, 100, packet.length - 1]) {
      const changed = Buffer.from(packet);
      changed[at]! ^= 1;
      expect(receiver.unprotectRtp(changed)).toBe(-1);
    }
    expect(receiver.unprotectRtp(Buffer.from(packet))).toBe(172);
  });

  it('carries RTCP, and refuses changed and repeated packets', () => {
    const sender = new SrtpSender(suite(name), master);
    const receiver = new SrtpReceiver(suite(name), master);
    const report = writeRtcpReport({ ssrc: 77, blocks: [], cname: 'patchbay', bye: true });
    const sealed = sender.protectRtcp(report);
    const changed = Buffer.from(sealed);
    changed[10]! ^= 1;
    expect(receiver.unprotectRtcp(changed)).toBe(-1);
    const packet = Buffer.from(sealed);
    expect(receiver.unprotectRtcp(packet)).toBe(report.length);
    expect(packet.subarray(0, report.length)).toEqual(report);
    expect(receiver.unprotectRtcp(Buffer.from(sealed))).toBe(-1);
  });

  it('steps over a master key identifier', () => {
    const receiver = new SrtpReceiver(suite(name), { ...master, mkiLength: 4 });
    const packet = seal(new SrtpSender(suite(name), master), 5);
    // Before the tag of HMAC, behind the tag of GCM (RFC 7714 section 8.2).
    const at = packet.length - (name.includes('GCM') ? 0 : suite(name).rtpTagLength);
    const withMki = Buffer.concat([packet.subarray(0, at), hex('00000001'), packet.subarray(at)]);
    expect(receiver.unprotectRtp(withMki)).toBe(172);
  });

  it('refuses any bytes that it did not seal', () => {
    const receiver = new SrtpReceiver(suite(name), master);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        if (bytes.length > 0) bytes[0] = (bytes[0]! & 0x3f) | 0x80;
        expect(receiver.unprotectRtp(Buffer.from(bytes))).toBe(-1);
        expect(receiver.unprotectRtcp(Buffer.from(bytes))).toBe(-1);
      }),
      { numRuns: 200 },
    );
  });
});

describe('inline keys', () => {
  const key = createMasterKey(CM_80);
  const inline = writeInlineKey(key);

  it.each([
    ['plain', '', 0],
    ['lifetime', '|2^20', 0],
    ['lifetime in digits and MKI', '|1048576|1:4', 4],
    ['MKI alone', '|1:32', 32],
    ['a second key', '|2^20|1:4;inline:AAAA|2^20|2:4', 4],
  ])('reads a key with %s', (_what, suffix, mkiLength) => {
    expect(readInlineKey(CM_80, inline + suffix)).toEqual({ ...key, mkiLength });
  });

  it.each([
    ['too short', 'inline:AAAA'],
    ['no inline', 'uri:AAAA'],
    ['a huge MKI', `${inline}|1:999`],
  ])('refuses a key: %s', (_what, text) => {
    expect(readInlineKey(CM_80, text)).toBeUndefined();
  });
});
