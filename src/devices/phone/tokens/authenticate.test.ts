import { describe, expect, it } from 'vitest';
import { type Participant, PatchbayError } from '../../../core/index.js';
import { authenticate, speaksForParticipant, tokensInUri, tokensOf, uriParts } from './authenticate.js';

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

it('tries at most eight tokens of one INVITE, since each costs a signature check', () => {
  const tokens = Array.from({ length: 9 }, (_, number) => token(number));
  const invite = inviteWith(tokens);
  expect(tokensOf(invite, [HEADER])).toEqual(tokens.slice(0, 8));
  const tried: string[] = [];
  const gate = {
    authenticate(presented: string): Participant {
      tried.push(presented);
      throw new PatchbayError('PATCHBAY_TOKEN_INVALID', 'no');
    },
  };
  expect(() => authenticate(invite, [HEADER], gate)).toThrow('no');
  expect(tried).toHaveLength(8);
});

describe('the refusal of an INVITE without a token says', () => {
  const nobody = { authenticate: (): Participant => expect.unreachable() };
  const refusalOf = (headers: Record<string, string>): string => {
    const get = (name: string): string | undefined => headers[name.toLowerCase()];
    try {
      authenticate({ uri: 'sip:gateway.example', get }, ['X-Participant-Token'], nobody);
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
  ])('%s', (_what, headers, words) => {
    expect(refusalOf(headers)).toMatch(words);
    expect(refusalOf(headers)).not.toContain('eyJ');
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
    authenticate(presented: string): Participant {
      const id = owners.get(presented);
      if (id !== undefined) return { id } as Participant;
      if (presented === expired) throw new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'expired');
      throw new PatchbayError('PATCHBAY_TOKEN_INVALID', 'wrong');
    },
  };
  const outcome = (...tokens: (string | undefined)[]): string => {
    const invite = inviteWith(tokens.map(String));
    try {
      return authenticate(invite, [HEADER], gate).id;
    } catch (error) {
      if (!(error instanceof PatchbayError)) throw error;
      expect(speaksForParticipant(invite, [HEADER], gate)).toBe(false);
      return error.code;
    }
  };

  it('is of the participant of the valid ones', () => {
    expect(outcome(good)).toBe('ann');
    expect(outcome(wrong, expired, good)).toBe('ann');
    expect(outcome(good, wrong)).toBe('ann');
    expect(outcome(good, again)).toBe('ann');
    expect(speaksForParticipant(inviteWith([wrong!, good!]), [HEADER], gate)).toBe(true);
  });

  it('is of nobody when valid ones belong to different participants', () => {
    expect(outcome(good, other)).toBe('PATCHBAY_TOKENS_DISAGREE');
    expect(outcome(good, wrong, other, again)).toBe('PATCHBAY_TOKENS_DISAGREE');
  });

  it('fails with the error of the first when none is valid, or there is none', () => {
    expect(outcome(expired, wrong)).toBe('PATCHBAY_TOKEN_EXPIRED');
    expect(outcome(wrong, expired)).toBe('PATCHBAY_TOKEN_INVALID');
    expect(outcome()).toBe('PATCHBAY_TOKEN_INVALID');
  });

  it('is not reported as having bad tokens when the gateway fails', () => {
    const failing = {
      authenticate: (): never => {
        throw new TypeError('a fault of ours');
      },
    };
    const args = [inviteWith([good!]), [HEADER], failing] as const;
    expect(() => authenticate(...args)).toThrow(TypeError);
    expect(() => speaksForParticipant(...args)).toThrow(TypeError);
  });
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
