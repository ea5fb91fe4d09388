import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

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

  async function join(token: string): Promise<void> {
    await page.goto('about:blank');
    await page.goto(`${gateway.httpUrl}/#token=${token}`);
    await page.click('button[type=submit]');
    await page.waitForFunction("document.querySelector('#status').textContent.includes('publishing audio')");
  }

  /** Waits for an error on the page. @returns its text */
  async function problem(): Promise<string> {
    await page.waitForFunction("document.querySelector('#problem').textContent !== ''");
    return String(await page.evaluate("document.querySelector('#problem').textContent"));
  }

  it('shows the link to the documents to those who may read them', async () => {
    const hidden = "document.querySelector('#documents')?.hidden !== false";
    await page.goto(gateway.httpUrl);
    await page.waitForFunction(`!${hidden}`);
    await page.setExtraHTTPHeaders({ 'x-forwarded-for': '192.0.2.1' });
    const asked = page.waitForResponse((response) => response.url().endsWith('/openapi.json'));
    await page.goto(gateway.httpUrl);
    expect((await asked).status()).toBe(404);
    await page.waitForNetworkIdle();
    expect(await page.evaluate(hidden)).toBe(true);
    await page.setExtraHTTPHeaders({});
  });

  it('joins with the token in its URL and shows the received streams', async () => {
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [person, phone] = [await rest.member(session), await rest.member(session)];

    await join(person.token);
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

  it('sends digits, and says why it was disconnected', async () => {
    const rest = new Rest(gateway);
    const webhooks = await WebhookReceiver.start();
    try {
      const person = await rest.member(await rest.session(), { callbackUrl: webhooks.url });
      await join(person.token);
      const press = (digit: string): Promise<void> => page.click(`#keypad ::-p-text(${digit})`);
      // Digits go in the audio, which is lost until the connection is up.
      const arrived = async (): Promise<boolean> => {
        await press('0');
        return webhooks.digits(person.id) !== '';
      };
      await until('a digit', arrived, { withinMs: 20_000, everyMs: 500 });
      for (const digit of '4#') await press(digit);
      await until('the digits', () => webhooks.digits(person.id).endsWith('4#'), { withinMs: 20_000 });
      await rest.disconnectDevice(person.id);
      expect(await problem()).toMatch(/^The application has disconnected you/);
    } finally {
      webhooks.close();
    }
  });

  it('says what is wrong with a token', async () => {
    await page.goto(`${gateway.httpUrl}/?again#token=wrong`);
    await page.click('button[type=submit]');
    expect(await problem()).toMatch(/token/);
    await page.waitForSelector('#join');
  });
});
