import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { chromiumFlags, chromiumPath } from './chromium.js';

/** A browser for the console, with a fake microphone that it may use. `gateway.test` is this machine, without https. */
export function launchConsole(...flags: string[]): Promise<Browser> {
  return puppeteer.launch({
    executablePath: chromiumPath(),
    headless: 'shell',
    args: [...chromiumFlags(), '--host-resolver-rules=MAP gateway.test 127.0.0.1', ...flags],
  });
}

/** Waits until the page shows a text, in the case in which it is written. If it does not, the error says what it shows. */
export async function shows(page: Page, text: string): Promise<void> {
  try {
    await page.waitForFunction(`document.body.innerText.includes(${JSON.stringify(text)})`);
  } catch (cause) {
    const shown = String(await page.evaluate('document.body.innerText'));
    throw new Error(`The page does not show "${text}", but:\n${shown}`, { cause });
  }
}

/** Clicks what is at a selector of puppeteer's, once it is there. */
export async function click(page: Page, selector: string): Promise<void> {
  const element = await page.waitForSelector(selector, { visible: true });
  await element!.click();
}
