import { describe, expect, it } from 'vitest';
import { inNetworks } from './networks.js';

describe('a list of networks', () => {
  const listed = inNetworks(['10.0.0.0/8', '2001:db8::/32', '::ffff:172.16.0.0/108', '192.0.2.1']);

  it.each([
    ['10.200.0.1', true],
    ['::ffff:10.0.0.1', true],
    ['11.0.0.1', false],
    ['2001:db8::1', true],
    ['2001:db9::1', false],
    ['172.31.255.255', true],
    ['172.32.0.0', false],
    ['192.0.2.1', true],
    ['::ffff:c000:201', true],
    ['192.0.2.2', false],
    ['not an address', false],
  ])('%s: %s', (address, expected) => {
    expect(listed(address)).toBe(expected);
  });

  it.each(['10.0.0', '1', '10.0.0.0/33', 'host', ''])('refuses the entry "%s"', (entry) => {
    expect(() => inNetworks([entry])).toThrow('not an address or CIDR');
  });
});
