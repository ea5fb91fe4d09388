// Makes the pictures of the console that README.md and docs/console.md show: `npm run screenshots`.
import { mkdirSync } from 'node:fs';
import type { Page } from 'puppeteer-core';
import { launchChromium } from './support/chromium.js';
import { click, launchConsole, shows } from './support/console.js';
import { startGateway } from './support/gateway.js';
import { DEVELOPMENT_ACCOUNT, Rest } from './support/rest.js';
import { placeCall } from './support/sipp.js';

const FOLDER = 'docs/images';
const DESKTOP = { width: 1180, height: 760 };
const PHONE = { width: 390, height: 760 };

/** What the page shows now, in both colour schemes. */
async function take(
  page: Page,
  name: string,
  size: { width: number; height: number } = DESKTOP,
): Promise<void> {
  await page.setViewport(size);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.screenshot({ path: `${FOLDER}/${name}-${scheme}.png` });
  }
}

mkdirSync(FOLDER, { recursive: true });
const [gateway, chromium, browser] = await Promise.all([startGateway(), launchChromium(), launchConsole()]);
const rest = new Rest(gateway);
const session = await rest.session('Order 4711');
const member = (tag: string) => rest.member(session, { tag });
const caller = await member('caller');
const agent = await member('agent');
const supervisor = await member('supervisor');
const interpreter = await member('interpreter');
await rest.member(session, { tag: 'second agent' });
const { wsUrl: gatewayUrl } = gateway;
const speak = async ({ token }: { token: string }, hz: number, alias: string): Promise<void> => {
  const page = await chromium.openClient({ gatewayUrl, token });
  await page.publishTone(hz, { alias });
};
await speak(agent, 700, 'microphone');
await speak(supervisor, 1100, 'microphone');
const calls = [
  await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: 440 }),
  await placeCall({ sipPort: gateway.sipPort, token: interpreter.token, tone: 500 }),
];
try {
  const page = await browser.newPage();
  await page.setViewport(DESKTOP);
  await page.goto(gateway.httpUrl);
  await click(page, '#development');
  await shows(page, 'Order 4711');
  await page.goto(`${gateway.httpUrl}/#/${DEVELOPMENT_ACCOUNT.id}/sessions/${session}`);
  await page.waitForSelector('[aria-label="Supervisor"]');
  await page.select('[aria-label="Supervisor"]', supervisor.id);
  await page.select('[aria-label="Agent"]', agent.id);
  await click(page, '.presets ::-p-text(Whisper)');
  await page.waitForSelector('[aria-label^="caller receives supervisor"][aria-label*=": not subscribed"]');
  await page.hover('[aria-label^="agent receives supervisor"]');
  await take(page, 'console-session');
  await take(page, 'console-session-phone', PHONE);

  await page.setViewport(DESKTOP);
  await click(page, 'nav ::-p-text(Test call)');
  await click(page, 'main button ::-p-text(Place a test call)');
  const link = await page.waitForSelector('a::-p-text(Hear it)');
  const listener = await browser.newPage();
  await listener.goto(await link!.evaluate((element) => (element as unknown as { href: string }).href));
  await click(listener, '#join button[type=submit]');
  await page.bringToFront();
  await shows(page, 'heard by one participant');
  await shows(page, 'round trip');
  await take(page, 'console-test-call');

  await page.setViewport(DESKTOP);
  await click(page, 'nav ::-p-text(Calls)');
  await click(page, 'tbody tr:nth-child(4) a');
  await page.waitForSelector('canvas');
  await take(page, 'console-call', { ...DESKTOP, height: 1240 });
} finally {
  for (const call of calls) {
    await call.hangUp();
    await call.end();
  }
  await Promise.all([browser.close(), chromium.close()]);
  await gateway.stop();
}
