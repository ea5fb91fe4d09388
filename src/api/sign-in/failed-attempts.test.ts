import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../shared/testing/index.js';
import { FailedAttempts } from './failed-attempts.js';

let clock: FakeClock;
let attempts: FailedAttempts;
beforeEach(() => {
  clock = new FakeClock();
  attempts = new FailedAttempts(clock);
});

const attempt = (about: { address?: string; user?: string; password?: string } = {}) => {
  const { address = '192.0.2.1', user = 'one', password = 'wrong' } = about;
  return attempts.refusal({ address, user, password, isRight: password === 'right' });
};
const guess = (count: number, about: { address?: string; user?: string } = {}): void => {
  for (let number = 0; number < count; number += 1) attempt({ ...about, password: `guess ${number}` });
};

describe('wrong passwords', () => {
  it('are looked at ten at once, then one each six seconds', () => {
    const tries = Array.from({ length: 12 }, (_, number) => attempt({ password: `guess ${number}` }));
    expect(tries).toEqual([...Array<string>(10).fill('wrong'), { waitS: 6 }, { waitS: 6 }]);
    clock.advance(6_000);
    expect(attempt({ password: 'a' })).toBe('wrong');
    expect(attempt({ password: 'b' })).toEqual({ waitS: 6 });
  });

  it('keep the right one out too, until it is its turn', () => {
    guess(10);
    expect(attempt({ password: 'right' })).toEqual({ waitS: 6 });
    clock.advance(6_000);
    expect(attempt({ password: 'right' })).toBeUndefined();
  });

  it('keep nobody out at another address, or as another user', () => {
    guess(11);
    expect(attempt({ password: 'right', address: '192.0.2.2' })).toBeUndefined();
    expect(attempt({ password: 'right', user: 'two' })).toBeUndefined();
    expect(attempt({ user: 'two' })).toBe('wrong');
  });

  it('keep nobody out who was let in from the same address before', () => {
    expect(attempt({ password: 'right' })).toBeUndefined();
    guess(20);
    expect(attempt({ password: 'right' })).toBeUndefined();
    expect(attempt({ password: 'right' })).toBeUndefined();
  });

  it('use up no tries of others when it is always the same one', () => {
    const tries = Array.from({ length: 30 }, () => attempt());
    expect(tries.slice(0, 10)).toEqual(Array(10).fill('wrong'));
    expect(tries.at(-1)).toEqual({ waitS: 6 });
    expect(attempt({ password: 'right' })).toBeUndefined();
  });

  it('count for the whole network of an IPv6 address', () => {
    guess(10, { address: '2001:db8::1' });
    expect(attempt({ address: '2001:db8::2' })).toEqual({ waitS: 6 });
    expect(attempt({ address: '2001:db8:0:1::1' })).toBe('wrong');
  });

  it('are not forgotten by trying many users', () => {
    guess(10);
    for (let user = 0; user < 100; user += 1) guess(10, { user: `user ${user}` });
    expect(attempt()).toEqual({ waitS: 6 });
    expect(attempt({ user: 'user 99', password: 'right' })).toEqual({ waitS: 6 });
    expect(attempt({ user: 'never seen' })).toEqual({ waitS: 6 });
    clock.advance(60_000);
    expect(attempt({ user: 'never seen' })).toBe('wrong');
  });
});
