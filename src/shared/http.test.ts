import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { clientAddresses, hangUp } from './http.js';

const PROXY = '10.0.0.1';
const address = clientAddresses(['10.0.0.0/8', '2001:db8:1::/48']);
const from = (remoteAddress: string, headers: Record<string, string>): string =>
  address({ socket: { remoteAddress }, headers });

describe('the client’s address', () => {
  it.each([
    ['nobody else says', PROXY, {}, PROXY],
    ['a stranger says', '198.51.100.1', { 'x-forwarded-for': '192.0.2.1' }, '198.51.100.1'],
    ['a proxy says', PROXY, { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    ['a proxy in IPv6 notation says', '::ffff:10.0.0.1', { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    ['a client says before a proxy', PROXY, { 'x-forwarded-for': '6.6.6.6, 192.0.2.1' }, '192.0.2.1'],
    ['two proxies say', PROXY, { 'x-forwarded-for': '6.6.6.6, 192.0.2.1, 10.1.1.1' }, '192.0.2.1'],
    ['a proxy says with a port', PROXY, { 'x-forwarded-for': '192.0.2.1:4711' }, '192.0.2.1'],
    ['a proxy says of IPv6', PROXY, { 'x-forwarded-for': '2001:db8:2::1' }, '2001:db8:2::1'],
    ['a proxy says in brackets', PROXY, { 'x-forwarded-for': '[2001:db8:2::1]:80' }, '2001:db8:2::1'],
    ['a proxy says by RFC 7239', PROXY, { forwarded: 'for=192.0.2.1;proto=https' }, '192.0.2.1'],
    [
      'a proxy says in quotes',
      PROXY,
      { forwarded: 'proto=https; FOR="[2001:db8:2::1]:80"' },
      '2001:db8:2::1',
    ],
    [
      'two say by RFC 7239',
      PROXY,
      { forwarded: 'for=1.1.1.1, for=192.0.2.1;by=x, for=10.2.2.2' },
      '192.0.2.1',
    ],
    [
      'there is a comma in quotes',
      PROXY,
      { forwarded: 'host="a,for=6.6.6.6\\"";for=192.0.2.1' },
      '192.0.2.1',
    ],
    ['a proxy hides', PROXY, { forwarded: 'for=_hidden' }, PROXY],
    ['a proxy does not know', PROXY, { forwarded: 'for=192.0.2.1, for=unknown' }, PROXY],
    ['a proxy says in no address', PROXY, { 'x-forwarded-for': '192.0.2.1, 3221225985' }, PROXY],
    ['the last of it is empty', PROXY, { 'x-forwarded-for': '192.0.2.1,' }, PROXY],
    ['both agree', PROXY, { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    // The client wrote the header that the proxy did not write.
    ['both disagree', PROXY, { forwarded: 'for=6.6.6.6', 'x-forwarded-for': '192.0.2.1' }, PROXY],
    ['it is too long', PROXY, { 'x-forwarded-for': `${' '.repeat(5_000)}192.0.2.1` }, PROXY],
  ])('is found when %s', (_what, peer, headers, expected) => {
    expect(from(peer, headers)).toBe(expected);
  });

  it('is the peer’s when no proxy is trusted', () => {
    const headers = { 'x-forwarded-for': '192.0.2.1' };
    expect(clientAddresses([])({ socket: { remoteAddress: PROXY }, headers })).toBe(PROXY);
  });

  it('is the peer’s or a valid address, whatever the headers hold', () => {
    const piece = fc.constantFrom(
      'for=',
      '"',
      '[',
      ']',
      ':',
      ',',
      ';',
      '\\',
      ' ',
      '10.0.0.2',
      '::1',
      '_x',
      '=',
    );
    const header = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(header, header, (forwarded, xForwardedFor) => {
        const found = from(PROXY, { forwarded, 'x-forwarded-for': xForwardedFor });
        expect(found).toMatch(/^[\da-f.:]+$/);
      }),
    );
  });
});

afterEach(() => void vi.useRealTimers());

it('frees the socket of a peer that does not read', () => {
  vi.useFakeTimers();
  const stream = new Duplex({ read: () => undefined, write: () => undefined });
  hangUp(stream, 'no');
  expect(stream.destroyed).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(stream.destroyed).toBe(true);
});
