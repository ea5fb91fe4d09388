import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** `file`: “name of a test in it”, as the page writes them. */
const PROOF = /`([\w./-]+\.test\.ts)`: “([^”]+)”/g;

const page = readFileSync('docs/interop.md', 'utf8');
const proofs = [...page.matchAll(PROOF)].map(([, file, name]) => [file!, name!] as const);

describe('the page of failures elsewhere', () => {
  it.each(proofs)('%s has “%s”', (file, name) => {
    expect(existsSync(file)).toBe(true);
    // The page's formatting escapes what Markdown would read.
    expect(readFileSync(file, 'utf8')).toContain(name.replaceAll('\\', ''));
  });

  it('names no test in another way', () => {
    expect(proofs.length).toBe(page.split('“').length - 1);
    expect(proofs.length).toBeGreaterThan(40);
  });
});
