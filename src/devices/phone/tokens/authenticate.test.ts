import { expect, it } from 'vitest';
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
