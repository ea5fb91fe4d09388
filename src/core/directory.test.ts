import { describe, expect, it } from 'vitest';
import { MemoryStore } from './core-store.js';
import { ACCOUNT, codeOf, conversation, coreForTests, newParticipant } from './testing/index.js';

describe('membership', () => {
  it('refuses the 21st participant and names the limit', () => {
    const { core } = coreForTests();
    const session = core.createSession(ACCOUNT, {}).id;
    for (let i = 0; i < 20; i += 1) core.addToSession(ACCOUNT, session, newParticipant(core));
    const last = newParticipant(core);
    expect(codeOf(() => core.addToSession(ACCOUNT, session, last))).toBe('PATCHBAY_SESSION_FULL');
    expect(() => core.addToSession(ACCOUNT, session, last)).toThrow('20');
    expect(core.participant(ACCOUNT, last).sessionId).toBeUndefined();
  });

  it('lets a member of a full session be added again', () => {
    const { core } = coreForTests();
    const session = core.createSession(ACCOUNT, {}).id;
    const members = Array.from({ length: 20 }, () => newParticipant(core));
    for (const member of members) core.addToSession(ACCOUNT, session, member);
    core.addToSession(ACCOUNT, session, members[0]!, { sessionId: session });
    expect(core.subscriptions(ACCOUNT, session, members[0]!)).toEqual({ sessionId: session });
    expect(core.members(ACCOUNT, session)).toHaveLength(20);
  });

  it('keeps the subscriptions of a member that is added again without any', () => {
    const { core, session, ann } = conversation();
    core.addToSession(ACCOUNT, session, ann);
    expect(core.subscriptions(ACCOUNT, session, ann)).toEqual({ sessionId: session });
  });

  it('allows one session at a time', () => {
    const { core, session, ann } = conversation();
    const other = core.createSession(ACCOUNT, {}).id;
    expect(codeOf(() => core.addToSession(ACCOUNT, other, ann))).toBe('PATCHBAY_IN_OTHER_SESSION');
    core.removeFromSession(ACCOUNT, session, ann);
    core.addToSession(ACCOUNT, other, ann);
    expect(core.participant(ACCOUNT, ann).sessionId).toBe(other);
  });

  it('forgets subscriptions with the membership', () => {
    const { core, session, ann } = conversation();
    core.removeFromSession(ACCOUNT, session, ann);
    core.addToSession(ACCOUNT, session, ann);
    expect(core.subscriptions(ACCOUNT, session, ann)).toEqual({});
  });

  it('does not find the sessions and participants of other accounts', () => {
    const { core, session, ann } = conversation();
    expect(codeOf(() => core.session('other', session))).toBe('PATCHBAY_SESSION_NOT_FOUND');
    expect(codeOf(() => core.participant('other', ann))).toBe('PATCHBAY_PARTICIPANT_NOT_FOUND');
    const stranger = core.createParticipant('other', {}).participant.id;
    expect(codeOf(() => core.addToSession(ACCOUNT, session, stranger))).toBe(
      'PATCHBAY_PARTICIPANT_NOT_FOUND',
    );
  });

  it('refuses subscriptions of a participant that is no member', () => {
    const { core, session } = conversation();
    const outsider = newParticipant(core);
    expect(codeOf(() => core.subscriptions(ACCOUNT, session, outsider))).toBe('PATCHBAY_NOT_A_MEMBER');
  });
});

describe('properties', () => {
  it('takes tags of 50 characters and no longer', () => {
    const { core } = coreForTests();
    const tag = '\u{1F4DE}'.repeat(50);
    expect(core.createSession(ACCOUNT, { tag }).tag).toBe(tag);
    expect(codeOf(() => core.createSession(ACCOUNT, { tag: `${tag}x` }))).toBe('PATCHBAY_BAD_REQUEST');
    expect(codeOf(() => core.createParticipant(ACCOUNT, { tag: `${tag}x` }))).toBe('PATCHBAY_BAD_REQUEST');
  });

  it('takes callback URLs with http and https only', () => {
    const { core } = coreForTests();
    const refused = ['ftp://example.com', 'file:///etc/passwd', 'nonsense', ''];
    for (const callbackUrl of refused) {
      expect(codeOf(() => core.createParticipant(ACCOUNT, { callbackUrl }))).toBe('PATCHBAY_BAD_REQUEST');
    }
    const taken = [
      'http://127.0.0.1:9/hook',
      'https://[::1]/',
      'http://my_app/',
      'https://App.Example./',
      'https://bücher.example/',
    ];
    for (const callbackUrl of taken) {
      expect(core.createParticipant(ACCOUNT, { callbackUrl }).participant.callbackUrl).toBe(callbackUrl);
    }
  });

  it('refuses subscriptions that name another session', () => {
    const { core, session, ann } = conversation();
    const setOther = () => core.setSubscriptions(ACCOUNT, session, ann, { sessionId: 'other' });
    expect(codeOf(setOther)).toBe('PATCHBAY_BAD_REQUEST');
  });
});

describe('listing', () => {
  it('pages by age, and goes on after the cursor was deleted', () => {
    const { core } = coreForTests();
    const ids = Array.from({ length: 5 }, () => core.createSession(ACCOUNT, {}).id);
    const first = core.sessions(ACCOUNT, { limit: 2 });
    expect(first.items.map((item) => item.id)).toEqual(ids.slice(0, 2));
    core.deleteSession(ACCOUNT, first.next!);
    const second = core.sessions(ACCOUNT, { limit: 3, cursor: first.next! });
    expect(second.items.map((item) => item.id)).toEqual(ids.slice(2));
    expect(second.next).toBeUndefined();
  });

  it('filters by tag and keeps accounts apart', () => {
    const { core } = coreForTests();
    core.createParticipant(ACCOUNT, { tag: 'a' });
    core.createParticipant(ACCOUNT, { tag: 'b' });
    core.createParticipant('other', { tag: 'b' });
    expect(core.participants(ACCOUNT, { tag: 'b' }).items).toHaveLength(1);
    expect(core.participants(ACCOUNT, {}).items).toHaveLength(2);
  });

  it('refuses a limit out of range', () => {
    const { core } = coreForTests();
    for (const limit of [0, 1_001, 1.5, Number.NaN]) {
      expect(codeOf(() => core.sessions(ACCOUNT, { limit }))).toBe('PATCHBAY_BAD_REQUEST');
    }
  });
});

describe('listing with several clocks', () => {
  it('has every item once, ordered by id, even those made by a gateway whose clock was ahead', () => {
    const store = new MemoryStore();
    const { core, clock } = coreForTests({ store });
    const { participant } = core.createParticipant(ACCOUNT, {});
    for (const n of [3, 1, 2]) store.saveParticipant({ ...participant, id: `ffffffff-${n}` });
    const { core: next } = coreForTests({ store, clock });
    for (let n = 0; n < 4; n += 1) newParticipant(next);
    const listed: string[] = [];
    for (let cursor: string | undefined, more = true; more;) {
      const page = next.participants(ACCOUNT, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      listed.push(...page.items.map(({ id }) => id));
      cursor = page.next;
      more = cursor !== undefined;
    }
    expect(listed).toHaveLength(8);
    expect(listed).toEqual([...new Set(listed)].sort());
  });
});
