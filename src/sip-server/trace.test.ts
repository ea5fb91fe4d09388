import { describe, expect, it } from 'vitest';
import { encodeHep, MessageTrace } from './trace.js';
import type { Flow } from './transport/flow.js';

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

describe('a message in the log', () => {
  it.each(['Call-ID', 'call-id', 'i'])('has its Call-ID as a field, written as %s', (name) => {
    const lines: object[] = [];
    const none = (): void => undefined;
    const log = { debug: (fields: object) => void lines.push(fields), info: none, warn: none, error: none };
    const remote = { host: '192.0.2.1', port: 5060 };
    const flow = { transport: 'udp', remote } as unknown as Flow;
    const text = `BYE sip:a@b SIP/2.0\r\nX-Call-ID: other\r\n${name} : abc@192.0.2.1\r\n\r\n`;
    new MessageTrace(log, [], undefined).message('in', Buffer.from(text), flow);
    expect(lines).toMatchObject([{ direction: 'in', peer: 'udp/192.0.2.1:5060', callId: 'abc@192.0.2.1' }]);
  });
});
