import { validate, version } from 'uuid';
import { describe, expect, it } from 'vitest';
import { requestIds } from './request-log.js';

describe('the ids of requests', () => {
  it('are UUIDs of which none comes twice', () => {
    const nextId = requestIds();
    const ids = Array.from({ length: 1_000 }, nextId);
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect([validate(id), version(id)]).toEqual([true, 8]);
  });

  it('are others in another process', () => {
    const [ours, theirs] = [requestIds(), requestIds()];
    expect(ours().slice(0, 24)).not.toBe(theirs().slice(0, 24));
  });
});
