import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { explainEnd, explainRefusal } from './explanations.js';

describe('why a call ended or was refused', () => {
  it('has words for every status of the one table of refusals', () => {
    const table = readFileSync('docs/phones.md', 'utf8');
    const statuses = [...table.matchAll(/^\| (\d{3}) /gm)].map(([, status]) => Number(status));
    expect(statuses).toContain(488);
    const words = statuses.map((status) => explainRefusal(status).explanation);
    expect(new Set(words).size).toBe(statuses.length);
  });

  it('has words for statuses that the table lacks', () => {
    for (const status of [499, 500, 699, 302])
      expect(explainRefusal(status).explanation).toMatch(/^The .*\.$/);
  });

  it('tells what to do about an end that somebody can do something about', () => {
    expect(explainEnd('media-timeout')?.advice).toContain('PATCHBAY_MEDIA_TIMEOUT');
    expect(explainEnd('moved')).toBeUndefined();
  });
});
