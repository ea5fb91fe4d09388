import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { click, launchConsole, shows } from '../support/console.js';
import { isFitForAll } from '../support/fit-for-all.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { LastingGateway } from '../support/lasting-gateway.js';
import { isDirect } from '../support/phone-room.js';
import { DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT, Rest, TWO_ACCOUNTS } from '../support/rest.js';
import { placeCall, placeRefusedCall } from '../support/sipp.js';

/** A crossing of the matrix, by its words. */
const crossing = (receiver: string, publisher: string): string =>
  `button[aria-label^="${receiver} receives ${publisher}:"]`;

describe('the console', () => {
  let gateway: TestGateway;
  let browser: Browser;
  let chromium: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    [gateway, browser, chromium] = await Promise.all([
      // The page shows where the media run: here, whatever the environment of the tests says.
      startGateway({ env: { PATCHBAY_MEDIA_HOSTS: '0' } }),
      launchConsole(),
      launchChromium(),
    ]);
    page = await browser.newPage();
  });

  afterAll(async () => {
    await Promise.all([browser.close(), chromium.close()]);
    await gateway.stop();
  });

  it('opens the development account by one click, and makes a session and a participant', async () => {
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(gateway.httpUrl);
    await page.waitForSelector('#development');
    await isFitForAll(page, 'home');
    await click(page, '#development');
    await shows(page, 'No sessions yet');
    await isFitForAll(page, 'no sessions');
    await page.type('#new-session input', 'support');
    await click(page, '#new-session button');
    await shows(page, 'Nobody is in this session');
    await click(page, '#add-participant');
    await page.type('#new-participant input[name=tag]', 'caller');
    await isFitForAll(page, 'a new participant');
    await click(page, '#new-participant button[type=submit]');
    await shows(page, 'caller may come in');
    await isFitForAll(page, 'ways in');
    const link = await page.$eval('.way a', (element) => (element as unknown as { href: string }).href);
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\w.-]+$/);
    const sip = await page.$eval(
      '[aria-label="SIP URI"]',
      (element) => (element as unknown as { textContent: string }).textContent,
    );
    expect(sip).toBe(`sip:${link.split('=')[1]!}@127.0.0.1:${gateway.sipPort}`);
    await page.keyboard.press('Escape');
    await click(page, '.actions summary');
    await shows(page, `curl -u 'patchbay'`);
    await isFitForAll(page, 'the same by REST');
    expect(await new Rest(gateway).request('GET', '/sessions')).toMatchObject({
      items: [{ tag: 'support' }],
    });
    expect(requests.filter((url) => !url.startsWith(gateway.httpUrl) && !url.startsWith('data:'))).toEqual(
      [],
    );
  });

  it.each(['br', 'gzip'])('is small, compressed by %s', async (encoding) => {
    const sizes = ['/', '/page.js', '/style.css'].map(async (path) => {
      const { headers } = await fetch(gateway.httpUrl + path, { headers: { 'accept-encoding': encoding } });
      expect(headers.get('content-encoding')).toBe(encoding);
      return Number(headers.get('content-length'));
    });
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(150_000);
  });

  it('sets a whisper by click, which is heard; and shows it after a reload', async () => {
    const rest = new Rest(gateway);
    const session = await rest.session('whisper');
    const caller = await rest.member(session, { tag: 'caller' });
    const agent = await rest.member(session, { tag: 'agent' });
    const supervisor = await rest.member(session, { tag: 'supervisor' });
    await page.goto(`${gateway.httpUrl}/#/${DEVELOPMENT_ACCOUNT.id}/sessions/${session}`);
    await page.waitForSelector(`${crossing('agent', 'caller')}[aria-label*="not connected"]`);

    const { wsUrl: gatewayUrl } = gateway;
    const agentPage = await chromium.openClient({ gatewayUrl, token: agent.token });
    const supervisorPage = await chromium.openClient({ gatewayUrl, token: supervisor.token });
    await agentPage.publishTone(700, { alias: 'microphone' });
    await supervisorPage.publishTone(1100);
    const call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: 440 });
    try {
      const isReceived = (state: string) => `[aria-label*=": ${state}"]`;
      await page.waitForSelector(crossing('caller', 'supervisor') + isReceived('received'));
      await call.tones.hears(1100);
      for (const name of ['caller', 'agent', 'supervisor'])
        await page.waitForFunction(`document.querySelector('[aria-label="Level of ${name}"]').value > 0.5`);
      await isFitForAll(page, 'the matrix');

      await page.select('[aria-label="Supervisor"]', supervisor.id);
      await page.select('[aria-label="Agent"]', agent.id);
      await click(page, '.presets ::-p-text(Whisper)');
      await page.waitForSelector(crossing('caller', 'supervisor') + isReceived('not subscribed'));
      await page.waitForSelector(crossing('agent', 'supervisor') + isReceived('received'));
      await call.tones.stopsHearing(1100);
      await call.tones.hears(700);
      await agentPage.hears(1100);

      await page.reload();
      await page.waitForSelector(crossing('caller', 'supervisor') + isReceived('not subscribed'));
      await click(page, crossing('caller', 'agent, microphone'));
      await page.waitForSelector(crossing('caller', 'agent, microphone') + isReceived('not subscribed'));
      await call.tones.stopsHearing(700);

      // By keyboard: from the crossing that has the focus down to the next row, and Enter.
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.waitForSelector(crossing('caller', 'supervisor') + isReceived('received'));
      await call.tones.hears(1100);

      await click(page, '.receiver .name ::-p-text(agent)');
      await shows(page, 'May publish');
      await click(page, 'dialog summary');
      await isFitForAll(page, 'a participant');
      await click(page, 'dialog ::-p-text(Mute for everybody)');
      await shows(page, 'Let everybody hear it');
      await supervisorPage.stopsHearing(700);
      await click(page, 'dialog ::-p-text(Disconnect)');
      await page.waitForSelector(`${crossing('caller', 'agent')}[aria-label*="not connected"]`);
      await page.keyboard.press('Escape');
      await page.waitForFunction("document.querySelector('dialog') === null");
      await call.hangUp();
      await page.waitForSelector(`${crossing('supervisor', 'caller')}[aria-label*="not connected"]`);
    } finally {
      await call.end();
    }
    await click(page, '.title ::-p-text(Delete)');
    await click(page, 'dialog ::-p-text(Delete the session)');
    await shows(page, 'Sessions');
    await expect(rest.request('GET', `/sessions/${session}`)).rejects.toThrow('404');
  });

  it('shows an operator how the gateway is', async () => {
    await page.waitForSelector('#new-session');
    await click(page, 'nav ::-p-text(Gateway)');
    await shows(page, 'New calls are let in');
    await shows(page, `sip:127.0.0.1:${gateway.sipPort}`);
    await shows(page, 'Media run in the gateway’s own process');
    await isFitForAll(page, 'the gateway');
  });

  it('lists calls, says why one was refused, and shows the SIP messages and the quality of another', async () => {
    const text = async (): Promise<string> => String(await page.evaluate('document.body.innerText'));
    const rest = new Rest(gateway);
    const { id, token } = await rest.member(await rest.session(), { tag: 'dialler' });
    await page.goto(`${gateway.httpUrl}/#/${DEVELOPMENT_ACCOUNT.id}/calls`);
    const call = await placeCall({ sipPort: gateway.sipPort, token, tone: 440 });
    try {
      await page.waitForSelector('tr:has(.state.live) ::-p-text(dialler)');
      await placeRefusedCall({ sipPort: gateway.sipPort, token });
      await shows(page, 'Its participant is connected already.');
      expect(await text()).not.toContain('+15555550100');
      await click(page, 'tr:has(.state.live) .masked');
      await shows(page, '+15555550100');
      await isFitForAll(page, 'calls');

      await page.select('#call-filter [name=state]', 'failed');
      await page.waitForFunction("document.querySelector('.state.live') === null");
      await click(page, 'tr:has(.state.failed) a');
      await shows(page, 'make one participant for each call');
      await shows(page, '486 Busy Here (INVITE)');
      await isFitForAll(page, 'a refused call');

      await click(page, '.crumbs a');
      await page.waitForSelector('#call-filter');
      await page.select('#call-filter [name=state]', '');
      await click(page, 'tr:has(.state.live) a');
      await click(page, '.ladder ::-p-text(INVITE with SDP)');
      await shows(page, 'User-to-User: ***');
      expect(await text()).not.toContain(token);
      // The quality of a phone by way of FreeSWITCH is not known.
      if (isDirect) await page.waitForSelector('.chart canvas');
      await isFitForAll(page, 'a call');

      await rest.disconnectDevice(id);
      await shows(page, 'The application disconnected it.');
      await shows(page, '200 OK (BYE)');
      await click(page, '::-p-text(Forget them)');
      await click(page, 'dialog ::-p-text(Forget them)');
      await shows(page, 'No SIP messages of this call are kept');
    } finally {
      await call.end();
    }
  });
});

describe('the console of several accounts', () => {
  let gateway: LastingGateway;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    [gateway, browser] = await Promise.all([LastingGateway.start(TWO_ACCOUNTS), launchConsole()]);
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser.close();
    await gateway.stop();
  });

  async function signIn({ user, password }: { user: string; password: string }): Promise<void> {
    await page.type('#sign-in [name=user]', user);
    await page.type('#sign-in [name=password]', password);
    await click(page, '#sign-in button[type=submit]');
  }

  it('shows an account to its owner alone, and goes on when the gateway is back', async () => {
    const mine = await new Rest(gateway.running).session('mine');
    await new Rest(gateway.running, OTHER_ACCOUNT).session('theirs');
    await page.goto(gateway.running.httpUrl);
    await page.waitForSelector('#sign-in');
    expect(await page.$('#development')).toBeNull();
    await signIn({ ...DEVELOPMENT_ACCOUNT, password: 'wrong' });
    await shows(page, 'User or password is wrong.');
    await page.reload();
    await page.waitForSelector('#sign-in');
    await signIn(OTHER_ACCOUNT);
    await shows(page, 'theirs');
    expect(await page.evaluate('document.body.innerText')).not.toContain('mine');
    await page.goto(`${gateway.running.httpUrl}/#/${OTHER_ACCOUNT.id}/gateway`);
    await shows(page, 'This account');
    expect(await page.evaluate('document.body.innerText')).not.toContain('Media hosts');
    await page.goto(`${gateway.running.httpUrl}/#/${DEVELOPMENT_ACCOUNT.id}/sessions/${mine}`);
    await shows(page, `Sign in to account ${DEVELOPMENT_ACCOUNT.id}`);
    await page.goto(`${gateway.running.httpUrl}/#/${OTHER_ACCOUNT.id}/sessions`);
    await shows(page, 'theirs');

    await gateway.again('kill');
    await new Rest(gateway.running, OTHER_ACCOUNT).session('after the restart');
    await shows(page, 'after the restart');
    await click(page, '#sign-out');
    await page.waitForSelector('#sign-in');
    expect(await page.evaluate('document.body.innerText')).not.toContain('theirs');
  });
});
