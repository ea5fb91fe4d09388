import { networkInterfaces } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { hostCandidates } from './datachannel-pipes.js';

vi.mock('node:os', () => ({ networkInterfaces: vi.fn(() => ({})) }));

const address = (value: string, family: 'IPv4' | 'IPv6', internal = false) => ({
  address: value,
  family,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  scopeid: 0,
});

describe('the candidates of the shared port', () => {
  it('names the bound address', () => {
    expect(hostCandidates('192.0.2.1', 7000)).toEqual(['1 1 UDP 2130706431 192.0.2.1 7000 typ host']);
  });

  it('announces the public address in place of all of ours, once', () => {
    expect(hostCandidates('0.0.0.0', 7000, '198.51.100.7')).toEqual([
      '1 1 UDP 2130706431 198.51.100.7 7000 typ host',
    ]);
  });

  it('names the addresses of all interfaces when bound to all, each with a priority of its own', () => {
    vi.mocked(networkInterfaces).mockReturnValue({
      lo: [address('127.0.0.1', 'IPv4', true)],
      eth0: [address('192.0.2.1', 'IPv4'), address('fe80::1', 'IPv6'), address('2001:db8::1', 'IPv6')],
    });
    expect(hostCandidates('0.0.0.0', 7000).map((line) => line.split(' ')[4])).toEqual(['192.0.2.1']);
    const both = hostCandidates('::', 7000).map((line) => line.split(' '));
    expect(both.map((fields) => fields[4])).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(Number(both[0]![3])).toBeGreaterThan(Number(both[1]![3]));
  });

  it('names the loopback address on a machine without a network', () => {
    vi.mocked(networkInterfaces).mockReturnValue({ lo: [address('127.0.0.1', 'IPv4', true)] });
    expect(hostCandidates('0.0.0.0', 7000)[0]).toContain(' 127.0.0.1 ');
  });
});
