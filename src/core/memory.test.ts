import { describe, expect, it } from 'vitest';
import { MemoryStore } from './core-store.js';
import { ACCOUNT, codeOf, coreForTests, FakeDevice, newParticipant } from './testing/index.js';
import type { Subscriptions } from './types.js';

const OTHER = '9900001';

/** Subscriptions of about so many bytes. */
const wide = (bytes: number): Subscriptions => ({
  participants: Array.from({ length: bytes / 250 }, (_, n) => ({
    participantId: String(n),
    streamAliases: ['a'.repeat(100)],
  })),
});

/** A participant in a session, of an account. */
function member(core: ReturnType<typeof coreForTests>['core'], account = ACCOUNT): [string, string] {
  const { id } = core.createParticipant(account, {}).participant;
  const session = core.createSession(account, {}).id;
  core.addToSession(account, session, id);
  return [session, id];
}

describe('what the core keeps', () => {
  it('is counted with everything that belongs to it, and is 0 when all is deleted', () => {
    const { core } = coreForTests();
    const [session, ann] = member(core);
    const plain = core.memory().bytes;
    core.setSubscriptions(ACCOUNT, session, ann, wide(50_000));
    const withSubscriptions = core.memory().bytes;
    expect(withSubscriptions - plain).toBeGreaterThan(30_000);
    core.addToSession(ACCOUNT, session, ann, { sessionId: session });
    expect(core.memory().bytes).toBe(plain);
    const device = core.connect(ann, new FakeDevice('d'), { replace: false });
    for (const revision of [1, 2]) device.saveResumePoint({ layout: ['audio'], revision });
    expect(core.memory().bytes).toBeGreaterThan(plain);
    device.end('left');
    expect(core.memory().bytes).toBe(plain);
    core.deleteSession(ACCOUNT, session);
    core.deleteParticipant(ACCOUNT, ann);
    expect(core.memory()).toEqual({ bytes: 0, refused: 0 });
  });

  it('is the same after a restart', () => {
    const store = new MemoryStore();
    const { core, clock } = coreForTests({ store });
    const [session, ann] = member(core);
    core.setSubscriptions(ACCOUNT, session, ann, wide(10_000));
    core.connect(ann, new FakeDevice('d'), { replace: false }).saveResumePoint({ layout: [], revision: 1 });
    expect(coreForTests({ store, clock }).core.memory()).toEqual(core.memory());
  });

  it('is limited for each account: 429, and nothing is changed', () => {
    const { core } = coreForTests({ limits: { bytesPerAccount: 100_000 } });
    const [session, ann] = member(core);
    const [, bob] = member(core);
    core.setSubscriptions(ACCOUNT, session, ann, wide(50_000));
    const before = core.memory().bytes;
    const tooMuch = 'PATCHBAY_TOO_MANY_REQUESTS';
    expect(codeOf(() => core.setSubscriptions(ACCOUNT, session, ann, wide(125_000)))).toBe(tooMuch);
    expect(codeOf(() => core.addToSession(ACCOUNT, session, ann, wide(125_000)))).toBe(tooMuch);
    expect(core.subscriptions(ACCOUNT, session, ann)).toEqual(wide(50_000));
    expect(core.memory()).toEqual({ bytes: before, refused: 2 });
    const made = (): string | undefined => codeOf(() => newParticipant(core));
    let participants = 0;
    while (made() === undefined) participants += 1;
    expect(participants).toBeLessThan(150);
    expect(made()).toBe(tooMuch);
    expect(codeOf(() => core.createSession(ACCOUNT, { tag: 'x'.repeat(50) }))).toBe(tooMuch);
    // Other accounts are served, and this one may always reduce what it keeps.
    expect(codeOf(() => core.createParticipant(OTHER, {}))).toBeUndefined();
    core.setSubscriptions(ACCOUNT, session, ann, wide(49_000));
    core.deleteParticipant(ACCOUNT, bob);
    expect(made()).toBeUndefined();
  });

  it('is limited for the process: 503 beyond the share of each account', () => {
    const { core } = coreForTests({ limits: { bytes: 640_000, bytesPerAccount: 400_000 } });
    const fill = (account: string): string | undefined => {
      const [session, id] = member(core, account);
      return codeOf(() => core.setSubscriptions(account, session, id, wide(125_000)));
    };
    const answers = ['1', '1', '1', '2', '2', '2', '3', '3'].map(fill);
    expect(answers).toContain('PATCHBAY_OVERLOADED');
    let filled: string | undefined;
    while (filled === undefined) filled = codeOf(() => core.createParticipant('3', {}));
    expect(filled).toBe('PATCHBAY_OVERLOADED');
    expect(core.memory().bytes).toBeLessThan(640_000);
    const newcomer = (): string | undefined => codeOf(() => core.createParticipant(OTHER, {}));
    let own = 0;
    for (; newcomer() === undefined; own += 1) expect(own).toBeLessThan(100);
    expect(own).toBeGreaterThan(10);
    expect(newcomer()).toBe('PATCHBAY_OVERLOADED');
  });

  it('includes no resume point beyond the limit of the account, nor an older one of the same page', () => {
    const { core } = coreForTests({ limits: { bytesPerAccount: 2_000 } });
    const ann = newParticipant(core);
    const device = new FakeDevice('d');
    const connection = core.connect(ann, device, { replace: false });
    const save = (streams: number): void =>
      connection.saveResumePoint({ layout: Array.from({ length: streams }, () => 'audio'), revision: 1 });
    save(10);
    expect(core.resumePoint(ann, device.info.externalId)).toBeDefined();
    save(1_000);
    expect(core.resumePoint(ann, device.info.externalId)).toBeUndefined();
    expect(core.memory()).toMatchObject({ refused: 1 });
  });
});
