import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';

describe('the console page', () => {
  let gateway: TestGateway;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    gateway = await startGateway();
    browser = await puppeteer.launch({
      executablePath: chromiumPath(),
      headless: true,
      args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    });
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser.close();
    await gateway.stop();
  });

  it('joins with the token of its address and shows who is heard', async () => {
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [person, phone] = [await rest.member(session), await rest.member(session)];

    await page.goto(`${gateway.httpUrl}/#token=${person.token}`);
    await page.click('button[type=submit]');
    await page.waitForFunction("document.querySelector('#status').textContent.includes('publishing')");
    const call = await placeCall({ sipPort: gateway.sipPort, token: phone.token, tone: 440 });
    try {
      await page.waitForFunction(`document.querySelector('#streams').innerText.includes('${phone.id}')`);
      await page.waitForFunction("document.querySelector('#streams meter').value > 0.1");
      await call.hangUp();
      await page.waitForFunction("document.querySelector('#streams').innerText.startsWith('None yet')");
    } finally {
      await call.end();
    }
    expect(await page.evaluate("document.querySelector('#problem').textContent")).toBe('');
  });
});
