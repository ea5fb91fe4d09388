import { describe, expect, it } from 'vitest';
import { type Participant, PatchbayError } from '../../../core/index.js';
import { authenticate, carriesToken, tokensInUri, tokensOf, uriParts } from './authenticate.js';

const HEADER = 'X-Token';
const token = (number: number): string =>
  ['{"alg":"HS256"}', `{"p":${number}}`, 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

function inviteWith(tokens: readonly string[]) {
  return {
    uri: 'sip:patchbay@gateway.example',
    get: (name: string) => (name === HEADER ? tokens.join(' ') : undefined),
  };
}

it('tries at most eight tokens of one INVITE, since each costs a signature check', async () => {
  const tokens = Array.from({ length: 9 }, (_, number) => token(number));
  const invite = inviteWith(tokens);
  expect(tokensOf(invite, [HEADER])).toEqual(tokens.slice(0, 8));
  const tried: string[] = [];
  const gate = {
    authenticate(presented: string): Promise<Participant> {
      tried.push(presented);
      return Promise.reject(new PatchbayError('PATCHBAY_TOKEN_INVALID', 'no'));
    },
  };
  await expect(authenticate(invite, [HEADER], gate)).rejects.toThrow('no');
  expect(tried).toHaveLength(8);
});

describe('the refusal of an INVITE without a token says', () => {
  const nobody = { authenticate: (): Promise<Participant> => expect.unreachable() };
  const refusalOf = async (headers: Record<string, string>): Promise<string> => {
    const get = (name: string): string | undefined => headers[name.toLowerCase()];
    try {
      await authenticate({ uri: 'sip:gateway.example', get }, ['X-Participant-Token'], nobody);
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
    return '';
  };

  it.each([
    ['that there is none', {}, /^The INVITE carries no participant token \(looked for in User-to-User,/],
    [
      'that User-to-User has something else',
      { 'user-to-user': 'abc;encoding=hex' },
      /^User-to-User does not carry a/,
    ],
    [
      'that it is in another header',
      { 'x-token': token(1) },
      /^The INVITE carries a token in X-Token, but tokens are looked for only in/,
    ],
  ])('%s', async (_what, headers, words) => {
    const refusal = await refusalOf(headers);
    expect(refusal).toMatch(words);
    expect(refusal).not.toContain('eyJ');
  });
});

describe('an INVITE with several tokens', () => {
  const [good, again, other, expired, wrong] = [1, 2, 3, 4, 5].map(token);
  const owners = new Map([
    [good, 'ann'],
    [again, 'ann'],
    [other, 'bob'],
  ]);
  const gate = {
    authenticate(presented: string): Promise<Participant> {
      const id = owners.get(presented);
      if (id !== undefined) return Promise.resolve({ id } as Participant);
      if (presented === expired)
        return Promise.reject(new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'expired'));
      return Promise.reject(new PatchbayError('PATCHBAY_TOKEN_INVALID', 'wrong'));
    },
  };
  const outcome = async (...tokens: (string | undefined)[]): Promise<string> => {
    try {
      return (await authenticate(inviteWith(tokens.map(String)), [HEADER], gate)).id;
    } catch (error) {
      if (!(error instanceof PatchbayError)) throw error;
      return error.code;
    }
  };

  it('is of the participant of the valid ones', async () => {
    expect(await outcome(good)).toBe('ann');
    expect(await outcome(wrong, expired, good)).toBe('ann');
    expect(await outcome(good, wrong)).toBe('ann');
    expect(await outcome(good, again)).toBe('ann');
  });

  it('is of nobody when valid ones belong to different participants', async () => {
    expect(await outcome(good, other)).toBe('PATCHBAY_TOKENS_DISAGREE');
    expect(await outcome(good, wrong, other, again)).toBe('PATCHBAY_TOKENS_DISAGREE');
  });

  it('fails with the error of the first when none is valid, or there is none', async () => {
    expect(await outcome(expired, wrong)).toBe('PATCHBAY_TOKEN_EXPIRED');
    expect(await outcome(wrong, expired)).toBe('PATCHBAY_TOKEN_INVALID');
    expect(await outcome()).toBe('PATCHBAY_TOKEN_INVALID');
  });

  it('is not reported as having bad tokens when the gateway fails', async () => {
    const failing = { authenticate: () => Promise.reject(new TypeError('a fault of ours')) };
    await expect(authenticate(inviteWith([good!]), [HEADER], failing)).rejects.toThrow(TypeError);
  });
});

it('knows whether an INVITE carries a valid token, wherever that is among others', () => {
  const gate = { recognizes: (presented: string) => presented === token(2) };
  expect(carriesToken(inviteWith([token(1), token(2)]), [HEADER], gate)).toBe(true);
  expect(carriesToken(inviteWith([token(1)]), [HEADER], gate)).toBe(false);
});

const URI_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkwMDAwMCIsInAiOiJ4In0.c2lnbmF0dXJl-_';

describe('tokensInUri', () => {
  it.each([
    ['a URI parameter', `sip:rtc.example.net:5060;token=${URI_TOKEN}`],
    ['a URI parameter among others', `sip:rtc.example.net;transport=tcp;Token=${URI_TOKEN};lr`],
    ['the user part', `sip:${URI_TOKEN}@rtc.example.net`],
    ['the user part of a sips URI', `sips:${URI_TOKEN}@[::1]:5061;transport=tls`],
    ['a URI header', `sip:rtc.example.net?User-to-User=${URI_TOKEN}%3Bencoding%3Djwt`],
    ['a URI header among others', `sip:+15@rtc.example.net;lr?Subject=x&user-to-user=${URI_TOKEN}`],
  ])('finds it in %s', (_place, uri) => {
    expect(tokensInUri(uri)).toEqual([URI_TOKEN]);
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

  it('leaves malformed escapes as they are', () => {
    expect(uriParts('sip:%zz@host').user).toBe('%zz');
  });
});
