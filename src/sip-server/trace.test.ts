import { describe, expect, it } from 'vitest';
import { encodeHep } from './trace.js';

describe('encodeHep', () => {
  it('writes the chunks of HEP version 3', () => {
    const packet = encodeHep(
      {
        protocol: 'udp',
        source: { host: '192.0.2.1', port: 5060 },
        destination: { host: '192.0.2.2', port: 5062 },
        time: 1_700_000_000_250,
        payload: Buffer.from('SIP'),
      },
      { id: 7, password: 'pw' },
    );
    const chunks = new Map<number, Buffer>();
    for (let at = 6; at < packet.length; at += packet.readUInt16BE(at + 4)) {
      chunks.set(packet.readUInt16BE(at + 2), packet.subarray(at + 6, at + packet.readUInt16BE(at + 4)));
    }
    expect(packet.toString('latin1', 0, 4)).toBe('HEP3');
    expect(packet.readUInt16BE(4)).toBe(packet.length);
    expect(Object.fromEntries([...chunks].map(([type, value]) => [type, value.toString('hex')]))).toEqual({
      1: '02',
      2: '11',
      3: 'c0000201',
      4: 'c0000202',
      7: '13c4',
      8: '13c6',
      9: '6553f100',
      10: '0003d090',
      11: '01',
      12: '00000007',
      14: '7077',
      15: '534950',
    });
  });

  it('writes IPv6 addresses in full', () => {
    const end = { host: '2001:db8::1', port: 5060 };
    const packet = encodeHep(
      { protocol: 'tcp', source: end, destination: end, time: 0, payload: Buffer.alloc(0) },
      { id: 1 },
    );
    expect(packet.toString('hex')).toContain('20010db8000000000000000000000001');
  });
});
