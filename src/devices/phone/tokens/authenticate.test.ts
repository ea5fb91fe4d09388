import { describe, expect, it } from 'vitest';
import { type Participant, PatchbayError } from '../../../core/index.js';
import { authenticate, tokensOf } from './authenticate.js';

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
