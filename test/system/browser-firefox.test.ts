import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFailed, onTestFinished } from 'vitest';
import { CLIENT_VERSIONS, type TestBrowser } from '../support/chromium.js';
import { firefoxPath, firefoxReachableHost, launchFirefox } from '../support/firefox.js';
import { startGateway } from '../support/gateway.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const webrtcHost = { PATCHBAY_WEBRTC_HOST: firefoxReachableHost() };
const stage = useStage({ env: webrtcHost });

/** As in browser-restart.test.ts: Chromium takes 14 s to see that its media is lost. */
const BACK_WITHIN_MS = 25_000;

describe.skipIf(firefoxPath() === undefined)('Firefox', () => {
  let firefox: TestBrowser;

  beforeAll(async () => {
    firefox = await launchFirefox();
  });
  afterAll(() => firefox.close());

  it.each(CLIENT_VERSIONS)('publishes to Chromium and receives from it, client %s', async (client) => {
    const session = await stage.rest.session();
    const [fox, chromium] = [await stage.rest.member(session), await stage.rest.member(session)];
    const { wsUrl: gatewayUrl } = stage.gateway;
    const foxPage = await firefox.openClient({ client, gatewayUrl, token: fox.token });
    const page = await stage.chrome.openClient({ client, gatewayUrl, token: chromium.token });
    const published = await foxPage.publishTone(440, { alias: 'fox', video: true });
    expect(published.mediaTypes).toEqual(['AUDIO', 'VIDEO']);
    await page.publishTone(880, { video: true });

    await page.hears(440, { participantId: fox.id, alias: 'fox' });
    await foxPage.hears(880, { participantId: chromium.id });
    const [seen, shown] = [await page.receives(), await foxPage.receives()];
    await page.seesFrames(seen.streamId, 10);
    await foxPage.seesFrames(shown.streamId, 10);

    await foxPage.unpublish();
    await page.loses({ participantId: fox.id });
    await foxPage.publishTone(660);
    await page.hears(660, { participantId: fox.id });
    await stage.rest.subscribe(session, fox.id, {});
    await foxPage.loses();
    await stage.rest.subscribe(session, fox.id, { sessionId: session });
    await foxPage.hears(880, { participantId: chromium.id });
  });

  it('goes on publishing by its present path when it asks for another, and is told', async () => {
    const session = await stage.rest.session();
    const [fox, chromium] = [await stage.rest.member(session), await stage.rest.member(session)];
    const { wsUrl: gatewayUrl, log } = stage.gateway;
    const foxPage = await firefox.openClient({ gatewayUrl, token: fox.token });
    const page = await stage.chrome.openClient({ gatewayUrl, token: chromium.token });
    await foxPage.publishTone(440, { video: true });
    await page.hears(440, { participantId: fox.id });

    // The client does this itself when its connection has failed; a page may do it too.
    await foxPage.reportPublishFailed();
    await foxPage.restartIce();
    await expect(foxPage.publishTone(660, { alias: 'more' })).rejects.toThrow('connect and publish again');
    await until(
      'a word in the log',
      () => log.some(({ msg }) => String(msg).startsWith('Firefox asked for another path')),
      { withinMs: 20_000 },
    );
    const { streamId } = await page.receives({ participantId: fox.id });
    const heard = (await page.counters(streamId)).audio!.packetsReceived;
    await page.seesFrames(streamId, 30);
    expect((await page.counters(streamId)).audio!.packetsReceived).toBeGreaterThan(heard);

    await foxPage.disconnect();
    await foxPage.connect({ gatewayUrl, token: fox.token });
    await foxPage.publishTone(550);
    await page.hears(550, { participantId: fox.id });
  });

  it.each(['kill', 'stop'] as const)(
    'receives again by itself after a %s and a start of the gateway, and publishes once it has connected anew',
    { timeout: 90_000 },
    async (end) => {
      const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-firefox-'));
      const env: Record<string, string> = {
        ...webrtcHost,
        PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()),
      };
      let gateway = await startGateway({ dataDir, env });
      onTestFinished(async () => {
        await gateway.stop();
        rmSync(dataDir, { recursive: true, force: true });
      });
      env['PATCHBAY_HTTP_PORT'] = String(gateway.httpPort);
      const rest = new Rest(gateway);
      const session = await rest.session();
      const [fox, chromium] = [await rest.member(session), await rest.member(session)];
      const { wsUrl: gatewayUrl } = gateway;
      const foxPage = await firefox.openClient({ gatewayUrl, token: fox.token });
      const page = await stage.chrome.openClient({ gatewayUrl, token: chromium.token });
      await foxPage.publishTone(440);
      await page.publishTone(880, { video: true });
      await Promise.all([page.hears(440), foxPage.hears(880)]);

      await gateway[end]();
      gateway = await startGateway({ dataDir, env });
      onTestFailed(() => {
        console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n'));
        console.error(foxPage.console.slice(-60).join('\n'));
      });
      await foxPage.hears(880, { participantId: chromium.id, withinMs: BACK_WITHIN_MS });
      const { streamId } = await foxPage.receives({ participantId: chromium.id });
      await foxPage.seesFrames(streamId, 10);

      await foxPage.disconnect();
      await foxPage.connect({ gatewayUrl, token: fox.token });
      await foxPage.publishTone(550);
      await Promise.all([page.hears(550, { participantId: fox.id }), foxPage.hears(880)]);
    },
  );
});
