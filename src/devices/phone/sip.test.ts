import { describe, expect, it } from 'vitest';
import { sourceOf } from './sip.js';
import { FakeRequest } from './testing/fakes.js';

const PHONE = 'SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK1;rport=4711;received=203.0.113.5';
const PROXY = 'SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2';

function from(address: string, headers: Record<string, string> = {}): FakeRequest {
  return new FakeRequest('INVITE', { from: address, headers: { via: PHONE, ...headers }, body: 'offer' });
}

describe('where a request came from', () => {
  it('is the phone itself when there is one Via', () => {
    expect(sourceOf(from('203.0.113.5'))).toEqual({
      address: '203.0.113.5',
      isDirect: true,
      isConnection: false,
    });
  });

  it.each([
    ['with another hop in Via', { via: `${PROXY}, ${PHONE}` }],
    ['which recorded its route', { 'record-route': '<sip:198.51.100.1;lr>' }],
  ])('is a proxy %s', (_how, headers) => {
    expect(sourceOf(from('198.51.100.1', headers)).isDirect).toBe(false);
  });

  it('has the transport, and no brackets around IPv6', () => {
    const request = Object.assign(from('[2001:db8::1]'), { protocol: 'tls' });
    expect(sourceOf(request)).toEqual({ address: '2001:db8::1', isDirect: true, isConnection: true });
  });
});
