import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, launchChromium, type TestBrowser } from '../support/chromium.js';
import { firefoxPath, firefoxReachableHost, launchFirefox } from '../support/firefox.js';
import { LastingGateway } from '../support/lasting-gateway.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const webrtcHost = { PATCHBAY_WEBRTC_HOST: firefoxReachableHost() };

/** As in browser-restart.test.ts: Chromium takes 14 s to see that its media is lost, and a busy machine longer. */
const BACK_WITHIN_MS = 60_000;

describe.skipIf(firefoxPath() === undefined)('Firefox', () => {
  let firefox: TestBrowser;

  beforeAll(async () => {
    firefox = await launchFirefox();
  });
  afterAll(() => firefox.close());

  describe('in a session', () => {
    const stage = useStage({ env: webrtcHost });

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

    it(
      'goes on receiving and publishing as if nothing was, when its media host outlives the gateway',
      { timeout: 120_000 },
      async ({ onTestFinished }) => {
        const gateway = await LastingGateway.start({ ...webrtcHost, PATCHBAY_MEDIA_HOSTS: '1' });
        onTestFinished(() => gateway.stop());
        const session = await gateway.rest.session();
        const [fox, chromium] = [await gateway.rest.member(session), await gateway.rest.member(session)];
        const { wsUrl: gatewayUrl } = gateway;
        const foxPage = await firefox.openClient({ gatewayUrl, token: fox.token });
        const page = await stage.chrome.openClient({ gatewayUrl, token: chromium.token });
        await foxPage.publishTone(440);
        await page.publishTone(880);
        await Promise.all([page.hears(440), foxPage.hears(880)]);
        const { streamId } = await foxPage.receives({ participantId: chromium.id });
        const before = (await foxPage.counters(streamId)).audio!;
        const killedAt = performance.now();
        await gateway.again('kill');
        const awayMs = performance.now() - killedAt;
        await Promise.all([page.hears(440), foxPage.hears(880)]);
        const after = (await foxPage.counters(streamId)).audio!;
        expect(after.packetsLost - before.packetsLost).toBe(0);
        expect(after.packetsReceived - before.packetsReceived).toBeGreaterThan(awayMs / 40);
        expect((after.concealedSamples - before.concealedSamples) / 48, 'ms concealed').toBeLessThan(
          awayMs / 4,
        );
      },
    );
  });

  // They mostly wait for the pages to notice, so they run at the same time.
  describe.concurrent('at a gateway that ends', () => {
    let chrome: TestBrowser;
    beforeAll(async () => {
      chrome = await launchChromium();
    });
    afterAll(() => chrome.close());

    it.for(['kill', 'stop'] as const)(
      'receives again by itself after a %s and a start of the gateway, and publishes once it has connected anew',
      { timeout: 150_000 },
      async (end, { onTestFailed, onTestFinished }) => {
        const gateway = await LastingGateway.start(webrtcHost);
        onTestFinished(() => gateway.stop());
        const session = await gateway.rest.session();
        const [fox, chromium] = [await gateway.rest.member(session), await gateway.rest.member(session)];
        const { wsUrl: gatewayUrl } = gateway;
        const foxPage = await firefox.openClient({ gatewayUrl, token: fox.token });
        const page = await chrome.openClient({ gatewayUrl, token: chromium.token });
        onTestFailed(() => {
          console.error(gateway.running.log.map((line) => JSON.stringify(line)).join('\n'));
          console.error(foxPage.console.slice(-60).join('\n'));
        });
        await foxPage.publishTone(440);
        await page.publishTone(880, { video: true });
        await Promise.all([page.hears(440), foxPage.hears(880)]);

        await gateway.again(end);
        await foxPage.hears(880, { participantId: chromium.id, withinMs: BACK_WITHIN_MS });
        await foxPage.seesPictures({ participantId: chromium.id });

        await foxPage.disconnect();
        await foxPage.connect({ gatewayUrl, token: fox.token });
        await foxPage.publishTone(550);
        await Promise.all([page.hears(550, { participantId: fox.id }), foxPage.hears(880)]);
      },
    );
  });
});
