import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'puppeteer-core';
import { expect } from 'vitest';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe has to say about what the page shows, in one line each; empty: nothing. */
async function complaintsOf(page: Page): Promise<string[]> {
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(AXE);
  const { violations } = (await page.evaluate(`axe.run({ resultTypes: ['violations'] })`)) as AxeResults;
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

/** Colours do not depend on the width, nor does what fits on the colours. */
const LOOKS = [
  { scheme: 'dark', width: 375 },
  { scheme: 'light', width: 1280 },
];
const DRAWN = 'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))';

/**
 * Expects that axe has nothing to say about a view, and that it cannot be scrolled sideways, in both of the widths and
 * colour schemes that the console is made for.
 */
export async function isFitForAll(page: Page, view: string): Promise<void> {
  for (const { scheme, width } of LOOKS) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width, height: 800 });
    // A click would miss what is still where it was before.
    await page.evaluate(DRAWN);
    const look = `${view}, ${scheme}, ${width} px`;
    expect.soft(await complaintsOf(page), look).toEqual([]);
    expect.soft(await page.evaluate('document.documentElement.scrollWidth'), look).toBeLessThanOrEqual(width);
  }
}
