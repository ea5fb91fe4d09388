import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { type LogLine, startGateway, type TestGateway } from '../support/gateway.js';
import { isDirect } from '../support/phone-room.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

interface Ids {
  readonly participantId: string;
  readonly connectionId: string;
  readonly deviceId: string;
}

describe('the log', () => {
  let gateway: TestGateway;
  let chromium: TestBrowser;
  let receiver: WebhookReceiver;
  let rest: Rest;
  let session: string;

  beforeAll(async () => {
    receiver = await WebhookReceiver.start();
    [gateway, chromium] = await Promise.all([startGateway(), launchChromium()]);
    rest = new Rest(gateway);
    session = await rest.session();
  });

  afterAll(async () => {
    await chromium.close();
    expect(await gateway.stop()).toBe(0);
    receiver.close();
  });

  /** As REST names them. */
  async function idsOf(participantId: string): Promise<Ids> {
    const { id, externalId } = await rest.device(participantId);
    return { participantId, connectionId: id, deviceId: externalId };
  }

  const linesWith = (...texts: string[]): LogLine[] =>
    gateway.log.filter((line) => texts.some((text) => JSON.stringify(line).includes(text)));

  it('has all lines of a call under its Call-ID, from INVITE to webhook, and no other call’s', async () => {
    const phones = await Promise.all([0, 1].map(() => rest.member(session, { callbackUrl: receiver.url })));
    const calls: SippCall[] = [];
    for (const { token } of phones) {
      calls.push(await placeCall({ sipPort: gateway.sipPort, token, tone: 440 }));
    }
    try {
      await Promise.all(calls.map((call) => call.final()));
      const [mine, other] = [await idsOf(phones[0]!.id), await idsOf(phones[1]!.id)];
      await rest.disconnectDevice(mine.participantId);
      await receiver.event('onLeave', mine.participantId);
      await gateway.waitForLog(
        (line) =>
          line.msg === 'webhook delivered' &&
          line['event'] === 'onLeave' &&
          line['deviceId'] === mine.deviceId,
      );
      await gateway.waitForLog(
        (line) => line.msg === 'The media are closed.' && line['deviceId'] === mine.deviceId,
      );

      const ofTheCall = linesWith(mine.deviceId);
      expect(ofTheCall.map(({ msg }) => msg)).toEqual(
        expect.arrayContaining([
          'Call answered.',
          'Hanging up.',
          'phone ports closed',
          'The media are closed.',
          'webhook delivered',
        ]),
      );
      // What goes by another of its ids has the Call-ID too; REST requests name the participant in their path.
      const byOtherIds = linesWith(mine.connectionId, mine.participantId).filter(
        (line) => line['method'] === undefined,
      );
      expect(byOtherIds.filter((line) => !ofTheCall.includes(line))).toEqual([]);
      const text = JSON.stringify(ofTheCall);
      for (const id of Object.values(other)) expect(text).not.toContain(id);
      const answered = ofTheCall.find(({ msg }) => msg === 'Call answered.');
      expect(answered).toMatchObject({
        ...mine,
        sessionId: session,
        callId: mine.deviceId,
        codec: 'PCMU',
        encryption: 'none',
      });
      // What a phone's address is behind FreeSWITCH, only that knows.
      if (isDirect) expect(answered?.['remote']).toMatch(/^127\.0\.0\.1:\d+$/);
    } finally {
      await Promise.all(calls.map((call) => call.end()));
    }
  });

  it('has a page’s start and end with the same ids', async () => {
    const { id, token } = await rest.member(session);
    const page = await chromium.openClient({ client: '0.12', gatewayUrl: gateway.wsUrl, token });
    const ids = await idsOf(id);
    await page.close();
    const ended = await gateway.waitForLog(
      (line) => line.msg === 'browser disconnected' && line['connectionId'] === ids.connectionId,
    );
    expect(ended).toMatchObject({ ...ids, sessionId: session });
    const began = gateway.log.find(
      (line) => line.msg === 'browser connected' && line['connectionId'] === ids.connectionId,
    );
    expect(began).toMatchObject({ ...ids, address: '127.0.0.1' });
  });
});
