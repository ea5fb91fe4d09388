import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, type ClientPage, launchChromium, type TestBrowser } from '../support/chromium.js';
import { FarNetwork, farNetworkMissing } from '../support/far-network.js';
import { firefoxPath, launchFirefox } from '../support/firefox.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** What docs/browsers.md promises is less; a busy machine takes longer. */
const BACK_WITHIN_MS = 60_000;

/** What the page's own script is to be, by docs/browsers.md. */
function documented(): string {
  const page = readFileSync('docs/browsers.md', 'utf8');
  const code = /```js\n([^`]*function connectAnew[^`]*)```/.exec(page)?.[1];
  if (code === undefined) throw new Error('docs/browsers.md shows no connectAnew.');
  return code;
}

const missing = farNetworkMissing() ?? (firefoxPath() === undefined ? 'needs Firefox' : undefined);

describe.skipIf(missing !== undefined)(`pages without network${missing ? ` (${missing})` : ''}`, () => {
  let far: FarNetwork;
  let gateway: TestGateway;
  let here: TestBrowser;
  let chrome: TestBrowser;
  let firefox: TestBrowser;
  let webhooks: WebhookReceiver;

  beforeAll(async () => {
    far = new FarNetwork();
    const env = {
      PATCHBAY_HTTP_HOST: far.gatewayHost,
      PATCHBAY_WEBRTC_HOST: far.gatewayHost,
      PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()),
    };
    webhooks = await WebhookReceiver.start();
    // One after the other: three browsers at once would hold each other up.
    gateway = await startGateway({ env });
    here = await launchChromium();
    chrome = await launchChromium({ executablePath: far.inside(chromiumPath()), pagesHost: far.gatewayHost });
    firefox = await launchFirefox(far);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([gateway.stop(), here.close(), chrome.close(), firefox.close()]);
    webhooks.close();
    far.stop();
  });

  it(
    'hear again by themselves, Firefox too, and are heard again when they connect anew as docs/browsers.md has it',
    { timeout: 200_000 },
    async () => {
      const rest = new Rest(gateway);
      const session = await rest.session();
      const join = async (browser: TestBrowser): Promise<{ id: string; token: string; page: ClientPage }> => {
        const who = await rest.member(session, { callbackUrl: webhooks.url });
        const page = await browser.openClient({ gatewayUrl: gateway.wsUrl, token: who.token });
        return { ...who, page };
      };
      const steady = await join(here);
      const [chromium, fox] = [await join(chrome), await join(firefox)];
      await steady.page.publishTone(880);
      await chromium.page.publishTone(660);
      await fox.page.publishTone(440);
      for (const hz of [440, 660]) await steady.page.hears(hz);
      for (const { page } of [chromium, fox]) await page.hears(880);
      await chromium.page.runDocumented(documented(), { now: false });

      far.pull();
      // Some 20 s: Firefox takes the longest to see it.
      await steady.page.loses({ participantId: fox.id });
      await webhooks.event('onLeave', fox.id);
      const failed = async (page: ClientPage): Promise<boolean> =>
        (await page.peers()).some(
          ({ role, connectionState }) => role === 'publish' && connectionState === 'failed',
        );
      await until('the end of Chromium’s connection', () => failed(chromium.page), { withinMs: 40_000 });
      far.plug();

      await Promise.all([
        steady.page.hears(660, { participantId: chromium.id, withinMs: BACK_WITHIN_MS }),
        chromium.page.hears(880, { withinMs: BACK_WITHIN_MS }),
        fox.page.hears(880, { withinMs: BACK_WITHIN_MS }),
      ]);

      // What Firefox published is gone, and everybody is told: the application, the others, and the page that tries.
      await until(
        'Firefox’s return',
        () => webhooks.events(fox.id).filter((event) => event === 'onConnect').length === 2,
        { withinMs: 20_000, seen: () => Promise.resolve(webhooks.events(fox.id)) },
      );
      expect(await rest.device(fox.id)).toMatchObject({ streams: [] });
      expect((await steady.page.streams()).map(({ participantId }) => participantId)).not.toContain(fox.id);
      await expect(fox.page.publishTone(550)).rejects.toThrow('connect and publish again');
      await fox.page.runDocumented(documented(), { now: true });
      await steady.page.hears(550, { participantId: fox.id });
      await fox.page.hears(880);
    },
  );
});
