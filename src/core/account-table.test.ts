import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedIds } from './account-table.js';

const ids = fc.nat(3_000).map((n) => String(n).padStart(4, '0'));
const steps = fc.array(fc.record({ id: ids, adds: fc.boolean() }), { maxLength: 3_000 });

describe('ordered ids', () => {
  it('come sorted from any position, whatever was added and deleted', () => {
    fc.assert(
      fc.property(steps, fc.option(ids, { nil: undefined }), (history, cursor) => {
        const [ordered, known] = [new OrderedIds(), new Set<string>()];
        for (const { id, adds } of history) {
          if (adds && !known.has(id)) ordered.add(id);
          if (!adds) ordered.delete(id);
          if (adds) known.add(id);
          else known.delete(id);
        }
        const expected = [...known].sort().filter((id) => cursor === undefined || id > cursor);
        expect([...ordered.after(cursor)]).toEqual(expected);
        expect(ordered.size).toBe(known.size);
      }),
      { numRuns: 60 },
    );
  });

  it('can be many, in any order', () => {
    const made = Array.from({ length: 5_000 }, (_, n) =>
      String((n * 2_654_435_761) % 5_003).padStart(4, '0'),
    );
    const ordered = new OrderedIds();
    for (const id of made) ordered.add(id);
    const sorted = [...made].sort();
    expect([...ordered.after(undefined)]).toEqual(sorted);
    expect([...ordered.after(sorted[2_500])]).toEqual(sorted.slice(2_501));
    for (const id of made) ordered.delete(id);
    expect([ordered.size, [...ordered.after(undefined)]]).toEqual([0, []]);
  });
});
