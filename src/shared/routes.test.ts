import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Routes } from './routes.js';

const PLACES = ['one', 'two', 'three'];
const WHO = ['a', 'b', 'c', 'd'];
const ITEMS = ['p', 'q', 'r'];

describe('routes', () => {
  it('lead each item once from where it is offered to every other place where it is wanted', () => {
    const changes: string[] = [];
    const routes = new Routes<string, string>(
      (from, to) => from !== to,
      (from, to) => changes.push(`${from} ${to}`),
    );
    routes.update('talker', 'one', [], ['sound']);
    routes.update('neighbour', 'one', ['sound'], []);
    expect(changes).toEqual([]);
    routes.update('listener', 'two', ['sound'], []);
    routes.update('other', 'two', ['sound'], []);
    expect(changes).toEqual(['one two']);
    expect(routes.between('one', 'two')).toEqual(['sound']);
    routes.remove('listener');
    expect(changes).toHaveLength(1);
    routes.remove('other');
    expect(routes.between('one', 'two')).toEqual([]);
    expect(changes).toEqual(['one two', 'one two']);
  });

  it('lead from the later of two that offer the same, whatever the first does then', () => {
    const routes = new Routes<string, string>(
      (from, to) => from !== to,
      () => undefined,
    );
    routes.update('listener', 'three', ['sound'], []);
    routes.update('first', 'one', [], ['sound']);
    routes.update('successor', 'two', [], ['sound']);
    routes.update('first', 'one', ['more'], ['sound']);
    expect(routes.between('one', 'three')).toEqual([]);
    routes.remove('first');
    expect(routes.between('two', 'three')).toEqual(['sound']);
  });

  it('lead from the first of two again when the later one ceases', () => {
    const routes = new Routes<string, string>(
      (from, to) => from !== to,
      () => undefined,
    );
    routes.update('listener', 'three', ['sound'], []);
    routes.update('first', 'one', [], ['sound']);
    routes.update('later', 'two', [], ['sound']);
    routes.update('first', 'four', [], ['sound']);
    routes.update('later', 'two', [], []);
    expect(routes.between('four', 'three')).toEqual(['sound']);
    expect(routes.between('two', 'three')).toEqual([]);
    routes.remove('first');
    expect(routes.between('four', 'three')).toEqual([]);
  });

  it('agree after any changes with what is wanted and offered, and tell of each change', () => {
    const items = fc.subarray(ITEMS);
    // Each item has one that may offer it.
    const owned = (who: string): string[] => ITEMS.filter((_, at) => WHO[at] === who);
    const change = fc.oneof(
      fc.record({
        what: fc.constant('update' as const),
        who: fc.constantFrom(...WHO),
        place: fc.constantFrom(...PLACES),
        wanted: items,
        offers: fc.boolean(),
      }),
      fc.record({ what: fc.constant('remove' as const), who: fc.constantFrom(...WHO) }),
      fc.record({ what: fc.constant('drop' as const), place: fc.constantFrom(...PLACES) }),
    );
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        const told = new Map<string, string>();
        const text = (from: string, to: string): string => [...routes.between(from, to)].sort().join();
        const dirty = new Set<string>();
        const routes = new Routes<string, string>(
          (from, to) => from !== to && to !== 'three',
          (from, to) => dirty.add(`${from} ${to}`),
        );
        const claims = new Map<string, { place: string; wanted: string[]; offered: string[] }>();
        for (const each of changes) {
          if (each.what === 'update') {
            const offered = each.offers ? owned(each.who) : [];
            claims.set(each.who, { place: each.place, wanted: each.wanted, offered });
            routes.update(each.who, each.place, each.wanted, offered);
          } else if (each.what === 'remove') {
            claims.delete(each.who);
            routes.remove(each.who);
          } else {
            for (const [who, { place }] of claims) if (place === each.place) claims.delete(who);
            routes.drop(each.place);
          }
          for (const pair of dirty) {
            const [from, to] = pair.split(' ');
            told.set(pair, text(from!, to!));
          }
          dirty.clear();
          for (const from of PLACES)
            for (const to of PLACES) {
              const expected =
                from === to || to === 'three'
                  ? []
                  : ITEMS.filter(
                      (item) =>
                        [...claims.values()].some((c) => c.place === from && c.offered.includes(item)) &&
                        [...claims.values()].some((c) => c.place === to && c.wanted.includes(item)),
                    );
              expect(text(from, to)).toBe(expected.join());
              expect(told.get(`${from} ${to}`) ?? '').toBe(expected.join());
              expect(routes.around(from).has(to)).toBe(
                expected.length > 0 || routes.between(to, from).length > 0,
              );
            }
        }
      }),
    );
  });
});
