import { describe, expect, it } from 'vitest';
import { tokensInUri, uriParts } from './authenticate.js';

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkwMDAwMCIsInAiOiJ4In0.c2lnbmF0dXJl-_';

describe('tokensInUri', () => {
  it.each([
    ['a URI parameter', `sip:rtc.example.net:5060;token=${token}`],
    ['a URI parameter among others', `sip:rtc.example.net;transport=tcp;Token=${token};lr`],
    ['the user part', `sip:${token}@rtc.example.net`],
    ['the user part of a sips URI', `sips:${token}@[::1]:5061;transport=tls`],
    ['a URI header', `sip:rtc.example.net?User-to-User=${token}%3Bencoding%3Djwt`],
    ['a URI header among others', `sip:+15@rtc.example.net;lr?Subject=x&user-to-user=${token}`],
  ])('finds it in %s', (_place, uri) => {
    expect(tokensInUri(uri)).toEqual([token]);
  });

  it.each([
    'sip:rtc.example.net:5060',
    'sip:+15555550100@rtc.example.net',
    'tel:+15555550100',
    '',
    '%%%;=?&',
  ])('finds none in %j', (uri) => {
    expect(tokensInUri(uri)).toEqual([]);
  });
});

describe('uriParts', () => {
  it('splits a URI', () => {
    const parts = uriParts('sip:alice:secret@host.example:5070;transport=udp;lr?Subject=a%20b');
    expect(parts.user).toBe('alice');
    expect(parts.host).toBe('host.example');
    expect([...parts.parameters]).toEqual([
      ['transport', 'udp'],
      ['lr', ''],
    ]);
    expect([...parts.headers]).toEqual([['subject', 'a b']]);
  });

  it('leaves what is badly escaped as it is', () => {
    expect(uriParts('sip:%zz@host').user).toBe('%zz');
  });
});
