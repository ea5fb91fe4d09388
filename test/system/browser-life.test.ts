import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, type ClientVersion } from '../support/chromium.js';
import { endReasonOf } from '../support/closed-usage.js';
import { type Member, openMember } from '../support/member.js';
import { useStage } from '../support/stage.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const stage = useStage();
let webhooks: WebhookReceiver;

beforeAll(async () => {
  webhooks = await WebhookReceiver.start();
});
afterAll(() => webhooks.close());

function openPage(session: string, client: ClientVersion): Promise<Member> {
  return openMember(stage, session, client, { callbackUrl: webhooks.url });
}

describe('a browser that leaves', () => {
  it.each(CLIENT_VERSIONS)('causes one webhook and a usage record, client %s', async (client) => {
    const session = await stage.rest.session();
    const { who, page } = await openPage(session, client);
    await page.publishTone(440);
    await page.disconnect();
    await webhooks.event('onLeave', who.id);
    expect(await endReasonOf(stage.rest, who.id)).toBe('left');
    expect(webhooks.events(who.id)).toEqual(['onConnect', 'onLeave']);
  });
});

// Client 0.9 cannot send digits in version 3 of the protocol.
describe('the keypad of a browser', () => {
  it('reaches the webhook of its participant, each digit once and in order', async () => {
    const session = await stage.rest.session();
    const steady = await openPage(session, '0.9');
    const { who, page } = await openPage(session, '0.12');
    await page.publishTone(440);
    await steady.page.hears(440);
    await page.sendDtmf('15#*D');
    expect(await webhooks.digitsOf(who.id, 5, 10_000)).toBe('15#*D');
  });
});
