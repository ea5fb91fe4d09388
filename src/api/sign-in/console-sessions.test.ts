import jwt from 'jsonwebtoken';
import { beforeEach, describe, expect, it } from 'vitest';
import { createCore, MemoryStore } from '../../core/index.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { ConsoleSessions } from './console-sessions.js';

const HOUR_MS = 3_600_000;
const SECRET = 's'.repeat(32);
const ACCOUNTS = [
  { id: '1', user: 'one', password: 'p:a:s:s' },
  { id: '2', user: 'two', password: 'ünïcode' },
  { id: '3', user: 'one', password: 'p:a:s:s' },
];

let clock: FakeClock;
const sessionsWith = (change: { tokenSecret?: string; accounts?: typeof ACCOUNTS } = {}) =>
  new ConsoleSessions({ tokenSecret: SECRET, accounts: ACCOUNTS, clock, ...change });
beforeEach(() => {
  clock = new FakeClock();
});

describe('a cookie of the console', () => {
  it('opens the accounts whose user and password were given, and no others', () => {
    const sessions = sessionsWith();
    expect(sessions.signedIn(sessions.cookieFor('two', 'ünïcode'))).toMatchObject({
      user: 'two',
      accountIds: ['2'],
    });
    expect(sessions.signedIn(sessions.cookieFor('one', 'p:a:s:s'))?.accountIds).toEqual(['1', '3']);
    expect(sessions.holderOf('one', 'p:a:s:s')?.accountIds).toEqual(['1', '3']);
  });

  it.each([
    ['one', 'p:a:s'],
    ['one:p', 'a:s:s'],
    ['two', 'p:a:s:s'],
    ['', ''],
    ['__proto__', 'x'],
  ])('is not for %j with %j', (user, password) => {
    const sessions = sessionsWith();
    expect(sessions.holderOf(user, password)).toBeUndefined();
    expect(sessions.signedIn(sessions.cookieFor(user, password))).toBeUndefined();
  });

  it('outlives a restart, but not twelve hours, another token secret or another password', () => {
    const cookie = sessionsWith().cookieFor('two', 'ünïcode');
    clock.advance(12 * HOUR_MS - 1_000);
    expect(sessionsWith().signedIn(cookie)?.user).toBe('two');
    expect(sessionsWith({ tokenSecret: 't'.repeat(32) }).signedIn(cookie)).toBeUndefined();
    const changed = ACCOUNTS.map((account) => ({ ...account, password: 'new' }));
    expect(sessionsWith({ accounts: changed }).signedIn(cookie)).toBeUndefined();
    clock.advance(1_000);
    expect(sessionsWith().signedIn(cookie)).toBeUndefined();
  });

  it('is void once it is signed out, and the others of the same user are not', () => {
    const sessions = sessionsWith();
    const [mine, other] = [sessions.cookieFor('two', 'ünïcode'), sessions.cookieFor('two', 'ünïcode')];
    sessions.signOut(mine);
    sessions.signOut('nonsense');
    sessions.signOut(undefined);
    expect(sessions.signedIn(mine)).toBeUndefined();
    expect(sessions.signedIn(other)?.user).toBe('two');
  });

  it('stays void, however often the same user signs out', () => {
    const sessions = sessionsWith();
    const first = sessions.cookieFor('two', 'ünïcode');
    const others = sessions.cookieFor('one', 'p:a:s:s');
    sessions.signOut(first);
    for (let count = 0; count < 1_000; count += 1) sessions.signOut(sessions.cookieFor('two', 'ünïcode'));
    expect(sessions.signedIn(first)).toBeUndefined();
    expect(sessions.signedIn(others)?.user).toBe('one');
    clock.advance(1_000);
    expect(sessions.signedIn(sessions.cookieFor('two', 'ünïcode'))?.user).toBe('two');
  });

  it.each([undefined, '', 'a.b.c', 'x'.repeat(5_000)])('is not %j', (cookie) => {
    expect(sessionsWith().signedIn(cookie)).toBeUndefined();
  });

  it('is none that was changed, or is not signed', () => {
    const sessions = sessionsWith();
    const [head, , signature] = sessions.cookieFor('two', 'ünïcode').split('.');
    const [, body] = sessions.cookieFor('one', 'p:a:s:s').split('.');
    expect(sessions.signedIn([head, body, signature].join('.'))).toBeUndefined();
    const claims = jwt.decode(sessions.cookieFor('one', 'p:a:s:s')) as object;
    expect(sessions.signedIn(jwt.sign(claims, null, { algorithm: 'none' }))).toBeUndefined();
    expect(sessions.signedIn(jwt.sign(claims, SECRET))).toBeUndefined();
  });

  it('is no participant token, nor is one a cookie', async () => {
    const core = createCore({ tokenSecret: SECRET, store: new MemoryStore(), log: silentLog });
    const sessions = sessionsWith();
    clock.set(Date.now() - clock.now());
    const { token } = core.createParticipant('1', {});
    expect(sessions.signedIn(token)).toBeUndefined();
    expect(() => core.authenticate(sessions.cookieFor('two', 'ünïcode'))).toThrow('not valid');
    await core.stop();
  });
});
