import { describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../core/testing/index.js';
import type { Usage } from './index.js';
import { useUsageStage } from './testing/usage-stage.js';

const stage = useUsageStage();

describe('a usage report', () => {
  it('is of one account, of a time, and of a tag', async () => {
    const { clock, usage } = stage;
    const [ann, bob] = [stage.participant('vip'), stage.participant()];
    stage.sessionWith('vip', bob);
    const from = clock.now();
    stage.connection(ann, 1);
    stage.connection(bob, 2);
    const to = clock.now();
    stage.connection(stage.participant(), 4);
    const secondsOf = async (filter: Parameters<Usage['query']>[1], account = ACCOUNT) =>
      (await usage.query(account, filter)).items.map(({ seconds }) => seconds);
    expect(await secondsOf({})).toEqual([1, 2, 4]);
    expect(await secondsOf({}, 'other')).toEqual([]);
    expect(await secondsOf({ from, to })).toEqual([1, 2]);
    expect(await secondsOf({ from: from + 1_000 })).toEqual([2, 4]);
    expect(await secondsOf({ tag: 'vip' })).toEqual([1, 2]);
  });

  it('comes in pages, with totals over all of them', async () => {
    const ann = stage.participant('ann');
    for (let call = 1; call <= 5; call += 1) stage.connection(ann, call);
    stage.connection(stage.participant(), 100);
    const pages: number[][] = [];
    let cursor: string | undefined;
    do {
      const page = await stage.usage.query(ACCOUNT, { limit: 2, ...(cursor && { cursor }) });
      pages.push(page.items.map(({ seconds }) => seconds));
      expect(page.totals).toEqual([
        { connections: 1, seconds: 100 },
        { tag: 'ann', connections: 5, seconds: 15 },
      ]);
      cursor = page.next;
    } while (cursor);
    expect(pages).toEqual([
      [1, 2],
      [3, 4],
      [5, 100],
    ]);
  });

  it('has its totals computed once, and not at all if they are not wanted', async () => {
    for (let call = 1; call <= 5; call += 1) stage.connection(stage.participant('ann'), call);
    const find = vi.spyOn(stage.store.usage, 'find');
    const first = await stage.usage.query(ACCOUNT, { limit: 2 });
    const second = await stage.usage.query(ACCOUNT, { limit: 2, cursor: first.next! });
    await stage.usage.query(ACCOUNT, { limit: 2, totals: false });
    expect(second.totals).toEqual(first.totals);
    expect(find.mock.calls.map(([, { totals }]) => totals)).toEqual([true, false, false]);
    // For another filter, or long after, they are computed again.
    await stage.usage.query(ACCOUNT, { limit: 2, cursor: first.next!, tag: 'ann' });
    stage.clock.advance(3_600_000);
    await stage.usage.query(ACCOUNT, { limit: 2, cursor: first.next! });
    expect(find.mock.calls.slice(3).map(([, { totals }]) => totals)).toEqual([true, true]);
  });

  it('refuses an invalid limit and an invalid cursor', async () => {
    for (const filter of [{ limit: 0 }, { limit: 1_001 }, { cursor: "' OR 1=1" }]) {
      await expect(stage.usage.query(ACCOUNT, filter)).rejects.toMatchObject({
        code: 'PATCHBAY_BAD_REQUEST',
      });
    }
  });
});
