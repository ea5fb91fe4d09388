import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { chromiumPath } from './chromium.js';

/** A browser for the console, with a fake microphone that it may use. `gateway.test` is this machine, without https. */
export function launchConsole(...flags: string[]): Promise<Browser> {
  return puppeteer.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [
      '--no-sandbox',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--host-resolver-rules=MAP gateway.test 127.0.0.1',
      ...flags,
    ],
  });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @returns what axe has to say about what the page shows, in one line each; empty: nothing */
export async function complaintsOf(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

/** Runs something once for each width and colour scheme that the console is made for. */
export async function inEveryLook(page: Page, work: (look: string) => Promise<void>): Promise<void> {
  for (const scheme of ['light', 'dark']) {
    for (const width of [1280, 375]) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.setViewport({ width, height: 800 });
      await work(`${scheme}, ${width}`);
    }
  }
}

/** Whether the page can be scrolled sideways, which it must not on a phone. */
export async function isTooWide(page: Page): Promise<boolean> {
  return (await page.evaluate('document.documentElement.scrollWidth > innerWidth')) === true;
}

/** Waits until the page shows a text, in the case in which it is written. */
export async function shows(page: Page, text: string): Promise<void> {
  await page.waitForFunction(`document.body.innerText.includes(${JSON.stringify(text)})`);
}

/** Clicks what is at a selector of puppeteer's, once it is there. */
export async function click(page: Page, selector: string): Promise<void> {
  const element = await page.waitForSelector(selector, { visible: true });
  await element!.click();
}
