import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { click, launchConsole, shows } from '../support/console.js';
import { isFitForAll } from '../support/fit-for-all.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

describe('the page that joins', () => {
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

  async function open(token: string, on = page): Promise<void> {
    await on.goto('about:blank');
    await on.goto(`${gateway.httpUrl}/#token=${token}`);
    await on.waitForSelector('#join');
  }

  async function join(token: string, on = page): Promise<void> {
    await open(token, on);
    await click(on, 'button[type=submit]');
    await on.waitForFunction("document.querySelector('#status').textContent.includes('publishing audio')");
  }

  /** Waits for an error on the page. @returns its text */
  async function problem(on = page): Promise<string> {
    await on.waitForFunction("document.querySelector('#problem').textContent !== ''");
    return String(await on.evaluate("document.querySelector('#problem').textContent"));
  }

  it('shows the link to the documents to those who may read them', async () => {
    const hidden = "document.querySelector('#documents')?.hidden !== false";
    await page.goto(gateway.httpUrl);
    await page.waitForFunction(`!(${hidden})`);
    await page.setExtraHTTPHeaders({ 'x-forwarded-for': '192.0.2.1' });
    const asked = page.waitForResponse((response) => response.url().endsWith('/openapi.json'));
    await page.goto(gateway.httpUrl);
    expect((await asked).status()).toBe(404);
    await page.waitForNetworkIdle();
    expect(await page.evaluate(hidden)).toBe(true);
    await page.setExtraHTTPHeaders({});
  });

  it('joins with the token in its URL, and shows by their tags whom it hears and who speaks', async () => {
    const rest = new Rest(gateway);
    const session = await rest.session('support');
    const person = await rest.participant({ tag: 'agent', publishPermissions: ['AUDIO', 'VIDEO'] });
    const phone = await rest.member(session, { tag: 'caller' });

    await open(person.token);
    await page.waitForFunction("document.querySelector('#join meter').value > 0.01");
    await isFitForAll(page, 'before joining');
    await join(person.token);
    await shows(page, 'you are in no session');
    await rest.join(session, person.id, { sessionId: session });
    const call = await placeCall({ sipPort: gateway.sipPort, token: phone.token, tone: 440 });
    try {
      const caller = `#streams [data-participant="${phone.id}"]`;
      await page.waitForSelector(caller);
      await page.waitForFunction(`document.querySelector('${caller}').innerText.startsWith('caller')`);
      await page.waitForFunction(`document.querySelector('${caller} meter').value > 0.1`);
      await page.waitForSelector(`${caller} .speaking`);
      await shows(page, 'You are agent. In session support.');
      await shows(page, 'Keys go to the application, and as tones to caller.');
      await shows(page, 'Network: good');
      await isFitForAll(page, 'a call');
      await call.hangUp();
      await page.waitForFunction("document.querySelector('#streams').innerText.startsWith('None yet')");
    } finally {
      await call.end();
    }
    expect(await page.evaluate("document.querySelector('#problem').textContent")).toBe('');
  });

  it('shares its screen, as a stream with an alias', async () => {
    const rest = new Rest(gateway);
    const person = await rest.member(await rest.session());
    await join(person.token);
    await click(page, '#share-screen');
    const aliases = async () => (await rest.device(person.id)).streams.map(({ alias }) => alias);
    await until('the screen', async () => (await aliases()).includes('screen'), { withinMs: 20_000 });
    await click(page, '#share-screen ::-p-text(Stop)');
    await until('no screen', async () => !(await aliases()).includes('screen'), { withinMs: 20_000 });
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
      await join(person.token);
      await rest.deleteParticipant(person.id);
      expect(await problem()).toMatch(/^The application has removed you/);
    } finally {
      webhooks.close();
    }
  });

  it('says that another tab has taken the call over', async () => {
    const rest = new Rest(gateway);
    const person = await rest.member(await rest.session());
    await join(person.token);
    const other = await browser.newPage();
    try {
      await join(person.token, other);
      await page.bringToFront();
      expect(await problem()).toMatch(/^Somebody joined with the same token in another tab/);
    } finally {
      await other.close();
    }
  });

  it('says what is wrong with a token', async () => {
    await page.goto(`${gateway.httpUrl}/?again#token=wrong`);
    await click(page, 'button[type=submit]');
    expect(await problem()).toMatch(/^The participant token is not valid/);
    await page.waitForSelector('#join');
  });

  it('says why there is no microphone on a page without https', async () => {
    const insecure = await browser.newPage();
    try {
      await insecure.goto(`${gateway.httpUrl.replace('127.0.0.1', 'gateway.test')}/#token=some`);
      await shows(insecure, 'Open it by https');
    } finally {
      await insecure.close();
    }
  });
});

describe('a page that may use neither microphone nor UDP', () => {
  it('says so, lets one listen without a microphone, and says what to do', async () => {
    const [gateway, browser] = await Promise.all([
      startGateway(),
      launchConsole(
        '--use-fake-ui-for-media-stream=deny',
        // Chromium obeys the one, its headless shell the other.
        '--webrtc-ip-handling-policy=disable_non_proxied_udp',
        '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
      ),
    ]);
    try {
      const rest = new Rest(gateway);
      const session = await rest.session();
      const [person, phone] = [await rest.member(session), await rest.member(session)];
      const page = await browser.newPage();
      await page.goto(`${gateway.httpUrl}/#token=${person.token}`);
      await shows(page, 'The browser was not allowed to use the microphone or camera.');
      await click(page, '::-p-text(Only listen)');
      await page.waitForFunction("document.querySelector('#status').textContent.includes('listening only')");
      const call = await placeCall({ sipPort: gateway.sipPort, token: phone.token, tone: 440 });
      await shows(page, 'something blocks UDP');
      await call.hangUp();
      await call.end();
    } finally {
      await browser.close();
      await gateway.stop();
    }
  });
});
