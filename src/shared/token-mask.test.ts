import { describe, expect, it } from 'vitest';
import { holdsToken, maskSipBody, maskTokens, sipTokenMask, tokensIn } from './token-mask.js';

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkwMDAwMCIsInAiOiJ4In0.c2lnbmF0dXJl-_';
const percent = Array.from(token)
  .map((char) => `%${char.charCodeAt(0).toString(16)}`)
  .join('');
const hex = Buffer.from(token).toString('hex');

/** Encodings of a token in SIP and HTTP text. */
const SPELLINGS = [
  ['as it is', token],
  ['with its dots percent-encoded', token.replaceAll('.', '%2E')],
  ['with one letter percent-encoded', token.replace('eyJ', 'e%79J')],
  ['percent-encoded whole', percent],
  ['percent-encoded whole, in upper case', percent.toUpperCase()],
  ['percent-encoded twice', token.replaceAll('.', '%252e')],
  ['percent-encoded three times', token.replaceAll('.', '%25252E')],
  ['with its dots escaped by backslashes', token.replaceAll('.', '\\.')],
  ['percent-encoded, then escaped', token.replaceAll('.', '\\%2E')],
  ['in hex', hex],
  ['in hex, in upper case', hex.toUpperCase()],
  ['in hex after a discriminator', `04${hex}`],
  ['in hex after half a byte', `0${hex}`],
  ['in hex, percent-encoded', hex.replace('65', '%36%35')],
] as const;

describe.each(SPELLINGS)('a token %s', (_name, spelled) => {
  const mask = sipTokenMask(['X-Secret']);
  const signature = spelled.slice(-12);

  it.each([
    ['alone', spelled],
    ['in words', `Called "${spelled}", refused.`],
    ['in the user part', `INVITE sip:${spelled}@host SIP/2.0\r\nTo: <sip:${spelled}@host>\r\n\r\n`],
    ['after something else', `sip:+15;x=93d6f3c0-be584596,${spelled}@host`],
    ['as a parameter', `Refer-To: <sip:a@b;token=${spelled};lr>`],
    ['in a header', `Refer-To: <sip:a@b?User-to-User=${spelled}%3Bencoding%3Djwt>\r\n\r\n`],
    ['in a body', `MESSAGE sip:a SIP/2.0\r\nCall-ID: x\r\n\r\nis ${spelled} it?`],
  ])('is hidden %s', (_place, text) => {
    expect(text).toContain(signature);
    expect(mask(text)).toContain('***');
    expect(mask(text)).not.toContain(signature);
    expect(maskTokens(text)).not.toContain(signature);
    expect(holdsToken(text)).toBe(true);
    expect(holdsToken(maskTokens(text))).toBe(false);
  });
});

describe('sipTokenMask', () => {
  const mask = sipTokenMask(['X-Secret']);

  it.each([
    ['User-to-User: 65794a68;encoding=hex', 'User-to-User: ***'],
    ['user-to-user:\r\n  65794a68\r\n ;encoding=hex', 'user-to-user: ***'],
    ['User-to-User :abc', 'User-to-User : ***'],
    ['X-Participant-Token: abc', 'X-Participant-Token: ***'],
    ['X-Secret: abc', 'X-Secret: ***'],
    ['Contact: <sip:a@b;token=abc;lr>', 'Contact: <sip:a@b;token=***;lr>'],
    ['Contact: <sip:a@b;%54oken=abc;lr>', 'Contact: <sip:a@b;%54oken=***;lr>'],
    ['Refer-To: <sip:a@b?User-to-User=abc&X=1>', 'Refer-To: <sip:a@b?User-to-User=***&X=1>'],
    ['Refer-To: <sip:a@b?X=1&user%2Dto%2Duser=abc>', 'Refer-To: <sip:a@b?X=1&user%2Dto%2Duser=***>'],
    [`To: <sip:${token}@b>`, 'To: <sip:***@b>'],
    ['Authorization: Digest username="a", response="0a4f"', 'Authorization: ***'],
    ['Proxy-Authorization: Basic YTpi', 'Proxy-Authorization: ***'],
  ])('masks whatever is in a place for tokens: %s', (line, masked) => {
    const text = `INVITE sip:x@y SIP/2.0\r\n${line}\r\nCall-ID: c\r\n\r\nbody`;
    expect(mask(text)).toBe(`INVITE sip:x@y SIP/2.0\r\n${masked}\r\nCall-ID: c\r\n\r\nbody`);
  });

  it.each([
    'INVITE sip:a%20b@host;transport=tcp SIP/2.0\r\nX-Tokyo: 1\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\\"\r\n\r\nv=0',
    'From: "a \\"b\\" eyJ" <sip:100%25@host>;tag=65794a',
  ])('leaves other text as it is', (text) => {
    expect(mask(text)).toBe(text);
  });
});

describe('the keys of SRTP', () => {
  const mask = sipTokenMask([]);
  const inSdp = (line: string) => `INVITE sip:x@y SIP/2.0\r\nCall-ID: c\r\n\r\nv=0\r\n${line}\r\nt=0 0\r\n`;

  it.each([
    [
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGw|2^20|1:4;inline:QUJD|2^20|1:4 FEC_ORDER=FEC_SRTP',
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:4;inline:***|2^20|1:4 FEC_ORDER=FEC_SRTP',
    ],
    ['k=base64:WVNfX19z', 'k=base64:***'],
    ['a=key-mgmt:mikey AQAFgM0X', 'a=key-mgmt:mikey ***'],
    ['a=fingerprint:sha-256 AA:BB', 'a=fingerprint:sha-256 AA:BB'],
  ])('are masked: %s', (line, masked) => {
    expect(mask(inSdp(line))).toBe(inSdp(masked));
    expect(maskSipBody(inSdp(line))).toBe(inSdp(masked));
  });
});

describe('tokensIn', () => {
  it('finds them in their order', () => {
    const other = token.replace('OTkw', 'OTkx');
    expect(tokensIn(`xx${token},eyJ.eyJ,eyJ.${other};a=1`)).toEqual([
      token,
      `eyJ.${other.split('.').slice(0, 2).join('.')}`,
    ]);
    expect(tokensIn('eyJ.eyJ.')).toEqual([]);
  });
});
