import { ApiController, Client, Environment } from '@bandwidth/webrtc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { DEVELOPMENT_ACCOUNT } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';

const ACCOUNT = DEVELOPMENT_ACCOUNT.id;
const BROWSER_TONE = 700;
const PHONE_TONE = 440;

describe('the first call', () => {
  let gateway: TestGateway;
  let chromium: TestBrowser;
  let api: ApiController;

  beforeAll(async () => {
    [gateway, chromium] = await Promise.all([startGateway(), launchChromium()]);
    const client = new Client({
      environment: Environment.Custom,
      baseUrl: `${gateway.httpUrl}/v1`,
      basicAuthUserName: DEVELOPMENT_ACCOUNT.user,
      basicAuthPassword: DEVELOPMENT_ACCOUNT.password,
    });
    api = new ApiController(client);
  });

  afterAll(async () => {
    await chromium.close();
    expect(await gateway.stop()).toBe(0);
  });

  async function createMember(sessionId: string): Promise<{ id: string; token: string }> {
    const { result } = await api.createParticipant(ACCOUNT, { publishPermissions: ['AUDIO'] as never });
    const id = result.participant!.id!;
    await api.addParticipantToSession(ACCOUNT, sessionId, id, { sessionId });
    return { id, token: result.token! };
  }

  it.each(CLIENT_VERSIONS)('lets a phone and a browser (client %s) hear each other', async (client) => {
    const { result: session } = await api.createSession(ACCOUNT, {});
    const sessionId = session.id!;
    const [browser, phone] = [await createMember(sessionId), await createMember(sessionId)];

    const page = await chromium.openClient({ client, gatewayUrl: gateway.wsUrl, token: browser.token });
    await page.publishTone(BROWSER_TONE);
    const call = await placeCall({ sipPort: gateway.sipPort, token: phone.token, tone: PHONE_TONE });
    try {
      await page.hears(PHONE_TONE, { participantId: phone.id });
      await call.tones.hears(BROWSER_TONE);
      const messages = call.messages.length;

      await api.updateParticipantSubscriptions(ACCOUNT, sessionId, phone.id, {});
      await call.tones.stopsHearing(BROWSER_TONE);
      await api.updateParticipantSubscriptions(ACCOUNT, sessionId, phone.id, { sessionId });
      await call.tones.hears(BROWSER_TONE);
      expect(call.messages.slice(messages), 'no SIP message changes a subscription').toEqual([]);

      await api.updateParticipantSubscriptions(ACCOUNT, sessionId, browser.id, {});
      await page.loses({ participantId: phone.id });

      await call.hangUp();
    } finally {
      await call.end();
      await page.close();
    }
  });
});
