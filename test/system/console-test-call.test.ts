import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { click, launchConsole, shows } from '../support/console.js';
import { isFitForAll } from '../support/fit-for-all.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';

/** A harmonic that all notes around the octave of the sung scale have near. */
const SUNG_HZ = 440;

describe('the test caller in the console', () => {
  let gateway: TestGateway;
  let browser: Browser;
  let chromium: TestBrowser;
  let page: Page;
  let application: Server;
  /** What the application answers, and where. */
  let bxml = '<Response/>';
  let url = '';

  beforeAll(async () => {
    application = createServer((_request, response) => response.end(bxml)).listen(0, '127.0.0.1');
    await once(application, 'listening');
    url = `http://127.0.0.1:${(application.address() as AddressInfo).port}/answer`;
    [gateway, browser, chromium] = await Promise.all([startGateway(), launchConsole(), launchChromium()]);
    page = await browser.newPage();
    await page.goto(gateway.httpUrl);
    await click(page, '#development');
    await click(page, 'nav ::-p-text(Test call)');
  });

  afterAll(async () => {
    application.close();
    await Promise.all([browser.close(), chromium.close()]);
    await gateway.stop();
  });

  it('makes all that is needed by one click, and is heard by whoever follows the link', async () => {
    await page.waitForSelector('#place-test-call');
    await isFitForAll(page, 'no test call');
    await click(page, '#place-test-call button');
    await shows(page, 'nobody hears it');
    const link = await page.$eval('#listen', (element) => (element as unknown as { href: string }).href);
    const token = link.split('#token=')[1]!;
    const listener = await chromium.openClient({ gatewayUrl: gateway.wsUrl, token });
    await listener.hears(SUNG_HZ);
    await shows(page, 'heard by one participant');
    await shows(page, 'Opinion score');
    await isFitForAll(page, 'a test call');

    await page.reload();
    await shows(page, 'heard by one participant');
    await click(page, '#hang-up');
    await shows(page, 'Test call ended');
    await listener.loses();
    await click(page, '.actions summary');
    await shows(page, '/testCalls/');
  });

  it('tries an application by its URL, and BXML, and shows each step', async () => {
    const rest = new Rest(gateway);
    const session = await rest.session('trial');
    const [caller, agent] = [await rest.member(session), await rest.member(session)];
    const listener = await chromium.openClient({ gatewayUrl: gateway.wsUrl, token: agent.token });
    bxml = `<Response><Transfer><SipUri uui="${caller.token};encoding=jwt">sip:127.0.0.1</SipUri></Transfer></Response>`;
    await page.type('#begin-trial [name=answerUrl]', url);
    await click(page, '#begin-trial button');
    await listener.hears(SUNG_HZ, { participantId: caller.id });
    await shows(page, 'answer event: the application answered 200.');
    await shows(page, 'heard by one participant');
    await isFitForAll(page, 'a trial');
    expect(await page.content()).not.toContain(caller.token);
    await click(page, '#hang-up');
    await shows(page, 'Trial of an application ended');

    await click(page, '#begin-trial ::-p-text(BXML)');
    await page.type('#begin-trial textarea', '<Response><Gather/><Transfer/>');
    await click(page, '#begin-trial button');
    await shows(page, 'This is not XML');
    await isFitForAll(page, 'a trial that failed');
    // The one before can be seen again.
    await click(page, '.earlier ::-p-text(Trial of an application ended)');
    await shows(page, 'The gateway answered: 200.');
  });
});
