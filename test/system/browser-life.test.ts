import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientPage, launchChromium, type TestBrowser } from '../support/chromium.js';
import type { TestParticipant } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** From the death of a browser until the gateway has removed it. */
const NOTICED_WITHIN_MS = 15_000;

const stage = useStage();
let webhooks: WebhookReceiver;
/** The browser that dies. */
let doomed: TestBrowser;

beforeEach(async () => {
  [webhooks, doomed] = await Promise.all([WebhookReceiver.start(), launchChromium()]);
});
afterEach(async () => {
  webhooks.close();
  await doomed.close();
});

async function openPage(
  browser: TestBrowser,
  session: string,
  client: '0.12' | '0.9' = '0.12',
): Promise<{ who: TestParticipant; page: ClientPage }> {
  const who = await stage.rest.member(session, { callbackUrl: webhooks.url });
  const gatewayUrl = stage.gateway.wsUrl;
  return { who, page: await browser.openClient({ client, gatewayUrl, token: who.token }) };
}

interface UsageItem {
  readonly participantId: string;
  readonly endedAt?: string;
  readonly endReason?: string;
}

/** The closed usage record of a participant's one connection. */
function usage(participantId: string): Promise<UsageItem> {
  return until(
    'a closed usage record',
    async () => {
      const { items } = (await stage.rest.request('GET', '/usage')) as { items: readonly UsageItem[] };
      return items.find((item) => item.participantId === participantId && item.endReason !== undefined);
    },
    { withinMs: 5_000, seen: () => stage.rest.request('GET', '/usage') },
  );
}

describe('a browser that dies', () => {
  it.each([
    ['is killed', (browser: TestBrowser) => browser.kill()],
    ['is cut off', (browser: TestBrowser) => browser.freeze()],
  ])('and %s is removed, with its webhooks and its usage record', async (_, end) => {
    const session = await stage.rest.session();
    const steady = await openPage(stage.chrome, session);
    const gone = await openPage(doomed, session);
    await gone.page.publishTone(440);
    await steady.page.hears(440);
    await webhooks.event('onConnect', gone.who.id);

    end(doomed);
    await steady.page.loses({ participantId: gone.who.id, withinMs: NOTICED_WITHIN_MS });
    await expect(stage.rest.device(gone.who.id)).rejects.toThrow('404');
    await webhooks.event('onLeave', gone.who.id);
    expect(webhooks.events(gone.who.id)).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
    expect(await usage(gone.who.id)).toMatchObject({ endReason: 'lost' });
  });

  it('is removed in time when it only received, or had no media at all', async () => {
    const [session, empty] = [await stage.rest.session(), await stage.rest.session()];
    const steady = await openPage(stage.chrome, session);
    const idle = await openPage(doomed, session);
    const bare = await openPage(doomed, empty);
    await steady.page.publishTone(440);
    await idle.page.hears(440);
    // From here on it has nothing to report.
    await steady.page.unpublish();
    await idle.page.loses();

    doomed.freeze();
    const frozenAt = performance.now();
    const removed = [idle, bare].map(async ({ who }) => {
      await webhooks.event('onLeave', who.id, NOTICED_WITHIN_MS);
      expect(performance.now() - frozenAt).toBeLessThan(NOTICED_WITHIN_MS);
      expect(webhooks.events(who.id)).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
      expect(await usage(who.id)).toMatchObject({ endReason: 'lost' });
    });
    await Promise.all(removed);
  });

  it.each(['0.12', '0.9'] as const)(
    'but comes back by itself when it lives again, client %s',
    async (client) => {
      const session = await stage.rest.session();
      const steady = await openPage(stage.chrome, session, client);
      const back = await openPage(doomed, session, client);
      await back.page.publishTone(440, { alias: 'voice' });
      await steady.page.publishTone(880);
      await Promise.all([steady.page.hears(440), back.page.hears(880)]);
      doomed.freeze();
      await steady.page.loses({ participantId: back.who.id, withinMs: NOTICED_WITHIN_MS });
      doomed.thaw();
      await Promise.all([
        steady.page.hears(440, { participantId: back.who.id, alias: 'voice', withinMs: 30_000 }),
        back.page.hears(880, { withinMs: 30_000 }),
      ]);
    },
  );
});

describe('a browser that leaves', () => {
  it('is told to the webhook once, and billed', async () => {
    const session = await stage.rest.session();
    const { who, page } = await openPage(stage.chrome, session);
    await page.publishTone(440);
    await page.disconnect();
    await webhooks.event('onLeave', who.id);
    expect(await usage(who.id)).toMatchObject({ endReason: 'left' });
    expect(webhooks.events(who.id)).toEqual(['onConnect', 'onLeave']);
  });
});

describe('the keypad of a browser', () => {
  it('reaches the webhook of its participant, each digit once and in order', async () => {
    const session = await stage.rest.session();
    const steady = await openPage(stage.chrome, session);
    const { who, page } = await openPage(doomed, session);
    await page.publishTone(440);
    await steady.page.hears(440);
    await page.sendDtmf('15#*D');
    expect(await webhooks.digitsOf(who.id, 5, 10_000)).toBe('15#*D');
  });
});
