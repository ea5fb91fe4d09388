import { describe, expect, it } from 'vitest';
import { looksLikeToken, tokensInUserToUser } from './user-to-user.js';

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkwMDAwMCIsInAiOiJ4In0.c2lnbmF0dXJl-_';
const other = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkwMDAwMCIsInAiOiJ5In0.b3RoZXI';
const callId = '93d6f3c0be5845960b744fa28015d8ede84bd1a4';
const dashedCallId = 'c-93d6f3c0-be584596-0b74-4fa2-8015-d8ede84bd1a4';

describe('tokensInUserToUser', () => {
  it.each([
    ['the token alone', `${token};encoding=jwt`],
    ['a call id before the token', `${callId};encoding=base64,${token};encoding=jwt`],
    ['a call id after the token', `${token};encoding=jwt,${callId};encoding=base64`],
    ['encodings swapped (ruby)', `${token};encoding=base64,${callId};encoding=jwt`],
    ['a call id with dashes (java)', `${dashedCallId};encoding=base64,${token};encoding=jwt`],
    ['the comma missing (php)', `${callId};encoding=base64${token};encoding=jwt`],
    ['quoted strings', `"${callId}=";encoding="base64","${token}";encoding="jwt"`],
    ['escapes in a quoted string', `"${token.replace('.', '\\.')}";encoding=jwt`],
    ['a comma inside quotes', `"a,b;encoding=jwt";encoding=base64,${token};encoding=jwt`],
    ['spaces and other parameters', ` ${callId} ; encoding=base64 , ${token} ; purpose=x ; Encoding = JWT `],
    ['folded lines', `${callId};encoding=base64,\r\n ${token};encoding=jwt`],
    ['no encoding', token],
    ['an unclosed quote', `"${callId};encoding=base64,${token};encoding=jwt`],
  ])('finds the token with %s', (_spelling, header) => {
    expect(tokensInUserToUser(header)).toEqual([token]);
  });

  const hex = Buffer.from(token).toString('hex');
  const length = (hex.length / 2).toString(16);
  it.each([
    ['alone', hex],
    ['in capitals', `${hex.toUpperCase()};encoding=hex`],
    ['of an ISDN gateway', `${hex};encoding=hex;purpose=isdn-uui;content=isdn-uui`],
    ['after the discriminator of IA5 text', `04${hex};encoding=hex;purpose=isdn-uui`],
    ['after the discriminator of the user', `00${hex}`],
    ['of Avaya, with type and length', `00C8${length}${hex};encoding=hex`],
    ['of Avaya, with another element behind it', `04C8${length}${hex}FA0800012345;encoding=hex`],
    ['in quotes', `"${hex}";encoding="hex"`],
    ['beside a call id', `${callId};encoding=hex,${hex};encoding=hex`],
  ])('finds the token in hexadecimal digits %s (RFC 7433)', (_spelling, header) => {
    expect(tokensInUserToUser(header)).toEqual([token]);
  });

  it('puts values with encoding=jwt first', () => {
    expect(tokensInUserToUser(`${other};encoding=base64,${token};encoding=jwt`)).toEqual([token, other]);
  });

  it.each([[''], [callId], ['a.b.c;encoding=jwt'], ['eyJ.eyJ;encoding=jwt'], [',,;;==""']])(
    'finds nothing in %j',
    (header) => {
      expect(tokensInUserToUser(header)).toEqual([]);
    },
  );

  it('keeps its limits whatever the header is', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `eyJ${i}.eyJ${i}.x`).join(',');
    expect(tokensInUserToUser(many)).toHaveLength(8);
    expect(tokensInUserToUser('eyJ'.repeat(100_000))).toEqual([]);
  });
});

describe('looksLikeToken', () => {
  it('checks the whole text', () => {
    expect(looksLikeToken(token)).toBe(true);
    expect(looksLikeToken(`x${token}`)).toBe(false);
    expect(looksLikeToken('+15555550100')).toBe(false);
  });
});
