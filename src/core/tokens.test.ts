import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { describe, expect, it } from 'vitest';
import { FakeClock, silentLog } from '../shared/testing/index.js';
import { PatchbayError } from './errors.js';
import { ACCOUNT, coreForTests, TOKEN_SECRET } from './testing/index.js';
import { Tokens } from './tokens.js';
import type { Participant } from './types.js';

const clock = new FakeClock();
const tokens = new Tokens(TOKEN_SECRET, clock);
const participant: Participant = {
  id: '0190163d-8694-739b-aea5-966c26f8ad91',
  accountId: ACCOUNT,
  publishPermissions: [],
  events: [],
  deviceApiVersion: 'V3',
  subscriptions: {},
  createdAt: clock.now(),
  expiresAt: clock.now() + 9 * 3_600_000,
};

function codeOf(token: string, options = { ignoreExpiry: false }): string {
  try {
    tokens.verify(token, options);
  } catch (error) {
    if (error instanceof PatchbayError) return error.code;
    throw error;
  }
  return 'none';
}

function signed(claims: object, secret = TOKEN_SECRET): string {
  return jwt.sign(claims, secret, { algorithm: 'HS256' });
}

describe('a participant token', () => {
  it('says who it is for, in few enough characters for a SIP transfer', () => {
    const token = tokens.issue(participant);
    const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(header).toBe('{"alg":"HS256"}');
    expect(JSON.parse(payload!)).toEqual({
      a: ACCOUNT,
      p: participant.id,
      v: 'V3',
      exp: participant.expiresAt / 1_000,
    });
    // Beside a call id in the 256 characters of a BXML uui there is room for 186.
    expect(token).toHaveLength(177);
    expect(tokens.verify(token, { ignoreExpiry: false })).toEqual({
      accountId: ACCOUNT,
      participantId: participant.id,
    });
  });

  it('is valid until the participant expires, or for longer if the expiry is ignored', () => {
    const later = new FakeClock();
    const then = new Tokens(TOKEN_SECRET, later);
    const token = then.issue(participant);
    later.advance(9 * 3_600_000 - 1_000);
    expect(then.verify(token, { ignoreExpiry: false }).participantId).toBe(participant.id);
    later.advance(1_000);
    expect(() => then.verify(token, { ignoreExpiry: false })).toThrow('expired');
    expect(then.verify(token, { ignoreExpiry: true }).participantId).toBe(participant.id);
  });

  it('is refused when signed by another, not at all, or by another algorithm', () => {
    const claims = { a: ACCOUNT, p: participant.id, exp: participant.expiresAt / 1_000 };
    expect(codeOf(signed(claims, 'another secret of more than thirty-two bytes'))).toBe(
      'PATCHBAY_TOKEN_INVALID',
    );
    expect(codeOf(jwt.sign(claims, '', { algorithm: 'none' }))).toBe('PATCHBAY_TOKEN_INVALID');
    expect(codeOf(jwt.sign(claims, TOKEN_SECRET, { algorithm: 'HS512' }))).toBe('PATCHBAY_TOKEN_INVALID');
    expect(codeOf(signed(claims))).toBe('none');
  });

  it('is refused without its claims, whoever signed it', () => {
    const exp = participant.expiresAt / 1_000;
    for (const claims of [
      { a: ACCOUNT, exp },
      { p: 'x', exp },
      { a: 1, p: 'x', exp },
      { a: 'a', p: 'x' },
    ]) {
      expect(codeOf(signed(claims))).toBe('PATCHBAY_TOKEN_INVALID');
    }
  });

  it('is refused when it is nonsense', () => {
    fc.assert(
      fc.property(fc.string(), (nonsense) => {
        expect(codeOf(nonsense)).toBe('PATCHBAY_TOKEN_INVALID');
      }),
    );
    expect(codeOf('x'.repeat(1_000_000))).toBe('PATCHBAY_TOKEN_INVALID');
  });

  it('is refused unparsed when it is longer than any that is made here', () => {
    const claims = { a: ACCOUNT, p: participant.id, exp: participant.expiresAt / 1_000 };
    const padded = (length: number): string => signed({ ...claims, x: 'x'.repeat(length) });
    expect(codeOf(padded(500))).toBe('none');
    expect(padded(800).length).toBeGreaterThan(1_024);
    expect(codeOf(padded(800))).toBe('PATCHBAY_TOKEN_INVALID');
  });

  it('is refused when any character is changed, and is never repeated in the refusal', () => {
    const token = tokens.issue(participant);
    fc.assert(
      fc.property(fc.nat(token.length - 2), fc.constantFrom('A', 'b', '9', '-'), (at, character) => {
        fc.pre(token[at] !== character);
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        expect(() => tokens.verify(changed, { ignoreExpiry: false })).toThrow(
          'The participant token is not valid here.',
        );
      }),
    );
  });
});

describe('a secret', () => {
  it('may be short, with a warning', () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    const { core } = coreForTests({ tokenSecret: 'short', log });
    const { token, participant: made } = core.createParticipant(ACCOUNT, {});
    expect(core.authenticate(token)).toEqual(made);
    expect(warnings).toEqual(['short token secret']);
  });

  it('may not be empty', () => {
    expect(() => new Tokens('', clock)).toThrow(RangeError);
  });
});
