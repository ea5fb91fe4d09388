import { describe, expect, it } from 'vitest';
import { type Participant, PatchbayError } from '../../../core/index.js';
import { authenticate, speaksForParticipant, tokensOf } from './authenticate.js';

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

it('looks at no more than eight tokens of one INVITE, as each costs a signature check', () => {
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

describe('an INVITE without a token says', () => {
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
      /^What User-to-User carries is no/,
    ],
    [
      'that it is in another header',
      { 'x-token': token(1) },
      /^The INVITE carries a token in X-Token, where none is looked for/,
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

  it('speaks for the participant of those that verify', () => {
    expect(outcome(good)).toBe('ann');
    expect(outcome(wrong, expired, good)).toBe('ann');
    expect(outcome(good, wrong)).toBe('ann');
    expect(outcome(good, again)).toBe('ann');
    expect(speaksForParticipant(inviteWith([wrong!, good!]), [HEADER], gate)).toBe(true);
  });

  it('speaks for nobody when those that verify disagree', () => {
    expect(outcome(good, other)).toBe('PATCHBAY_TOKENS_DISAGREE');
    expect(outcome(good, wrong, other, again)).toBe('PATCHBAY_TOKENS_DISAGREE');
  });

  it('fails as the first of them when none verifies, or there is none', () => {
    expect(outcome(expired, wrong)).toBe('PATCHBAY_TOKEN_EXPIRED');
    expect(outcome(wrong, expired)).toBe('PATCHBAY_TOKEN_INVALID');
    expect(outcome()).toBe('PATCHBAY_TOKEN_INVALID');
  });

  it('is not said to carry bad tokens when it is the gateway that fails', () => {
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
