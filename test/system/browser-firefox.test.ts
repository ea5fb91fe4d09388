import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, type TestBrowser } from '../support/chromium.js';
import { firefoxPath, firefoxReachableHost, launchFirefox } from '../support/firefox.js';
import { useStage } from '../support/stage.js';

const stage = useStage({ env: { PATCHBAY_WEBRTC_HOST: firefoxReachableHost() } });

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
});
