import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { complaintsOf, inEveryLook, isTooWide, launchConsole, shows } from '../support/console.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';

describe('the console', () => {
  let gateway: TestGateway;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    [gateway, browser] = await Promise.all([startGateway(), launchConsole()]);
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser.close();
    await gateway.stop();
  });

  /** Clicks what is at a selector of puppeteer's, once it is there. */
  async function click(selector: string): Promise<void> {
    const element = await page.waitForSelector(selector, { visible: true });
    await element!.click();
  }

  /** A view has nothing that axe complains about, and fits, in both widths and colour schemes. */
  async function isFitForAll(view: string): Promise<void> {
    await inEveryLook(page, async (look) => {
      expect.soft(await complaintsOf(page), `${view}, ${look}`).toEqual([]);
      expect.soft(await isTooWide(page), `${view}, ${look}: is too wide`).toBe(false);
    });
    await page.setViewport({ width: 1280, height: 800 });
  }

  it('opens the development account by one click, and makes a session and a participant', async () => {
    await page.goto(gateway.httpUrl);
    await page.waitForSelector('#development');
    await isFitForAll('home');
    await click('#development');
    await shows(page, 'No sessions yet');
    await isFitForAll('no sessions');
    await page.type('#new-session input', 'support');
    await click('#new-session button');
    await shows(page, 'Nobody is in this session');
    await click('#add-participant');
    await page.type('#new-participant input[name=tag]', 'caller');
    await isFitForAll('a new participant');
    await click('#new-participant button[type=submit]');
    await shows(page, 'caller may come in');
    await isFitForAll('ways in');
    const rest = new Rest(gateway);
    const link = await page.$eval('.way a', (element) => (element as unknown as { href: string }).href);
    const [session] = ((await rest.request('GET', '/sessions')) as { items: { id: string; tag: string }[] })
      .items;
    expect(session!.tag).toBe('support');
    expect(link).toMatch(/\/#token=[\w.-]+$/);
  });
});
