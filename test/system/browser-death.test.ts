import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CLIENT_VERSIONS,
  type ClientPage,
  type ClientVersion,
  launchChromium,
  type TestBrowser,
} from '../support/chromium.js';
import { endReasonOf } from '../support/closed-usage.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { type Member, openMember } from '../support/member.js';
import { Rest } from '../support/rest.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** From the death of a browser until the gateway has removed it. */
const NOTICED_WITHIN_MS = 15_000;

/** Tones of the pages in the browser that dies. */
const TONES = [440, 1_320];

let gateway: TestGateway;
let rest: Rest;
let webhooks: WebhookReceiver;
/** The browser that lives. */
let chrome: TestBrowser;

beforeAll(async () => {
  [webhooks, gateway, chrome] = await Promise.all([
    WebhookReceiver.start(),
    startGateway(),
    launchChromium(),
  ]);
  rest = new Rest(gateway);
});
afterAll(async () => {
  webhooks.close();
  await Promise.all([chrome.close(), gateway.stop()]);
});

/** Runs a test with a browser that is to die. */
async function withDoomed(test: (doomed: TestBrowser) => Promise<void>): Promise<void> {
  const doomed = await launchChromium();
  try {
    await test(doomed);
  } finally {
    await doomed.close();
  }
}

function openPage(browser: TestBrowser, session: string, client: ClientVersion): Promise<Member> {
  return openMember({ gateway, chrome: browser }, session, client, { callbackUrl: webhooks.url });
}

/** A page of each client in the browser that dies, publishing; `steady` hears them. */
async function openDoomed(doomed: TestBrowser, session: string, steady: ClientPage): Promise<Member[]> {
  const members = await Promise.all(CLIENT_VERSIONS.map((client) => openPage(doomed, session, client)));
  for (const [index, { who, page }] of members.entries()) {
    await page.publishTone(TONES[index]!, { alias: 'voice' });
    await steady.hears(TONES[index]!, { participantId: who.id });
  }
  return members;
}

// They mostly wait for the gateway to notice, so they run at the same time; a busy machine takes long to open browsers.
describe.concurrent('a browser that dies, with a page of each client,', { timeout: 120_000 }, () => {
  it.each([
    ['is killed', (browser: TestBrowser) => browser.kill()],
    ['is cut off', (browser: TestBrowser) => browser.freeze()],
  ])('and %s is removed, with its webhooks and its usage records', (_, end) =>
    withDoomed(async (doomed) => {
      const session = await rest.session();
      const steady = await openPage(chrome, session, '0.12');
      const gone = await openDoomed(doomed, session, steady.page);
      for (const { who } of gone) await webhooks.event('onConnect', who.id);

      end(doomed);
      await Promise.all(
        gone.map(({ who }) => steady.page.loses({ participantId: who.id, withinMs: NOTICED_WITHIN_MS })),
      );
      for (const { who } of gone) {
        await expect(rest.device(who.id)).rejects.toThrow('404');
        await webhooks.event('onLeave', who.id);
        expect(webhooks.events(who.id)).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
        expect(await endReasonOf(rest, who.id)).toBe('lost');
      }
    }),
  );

  it('is removed in time when it only received, or had no media at all', () =>
    withDoomed(async (doomed) => {
      const [session, empty] = [await rest.session(), await rest.session()];
      const steady = await openPage(chrome, session, '0.12');
      await steady.page.publishTone(440);
      const idle = await Promise.all(CLIENT_VERSIONS.map((client) => openPage(doomed, session, client)));
      const bare = await Promise.all(CLIENT_VERSIONS.map((client) => openPage(doomed, empty, client)));
      await Promise.all(idle.map(({ page }) => page.hears(440)));
      // From here on they receive nothing, and so send no reports.
      await steady.page.unpublish();
      await Promise.all(idle.map(({ page }) => page.loses()));

      doomed.freeze();
      const frozenAt = performance.now();
      const removed = [...idle, ...bare].map(async ({ who }) => {
        await webhooks.event('onLeave', who.id, NOTICED_WITHIN_MS);
        expect(performance.now() - frozenAt).toBeLessThan(NOTICED_WITHIN_MS);
        expect(webhooks.events(who.id)).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
        expect(await endReasonOf(rest, who.id)).toBe('lost');
      });
      await Promise.all(removed);
    }));

  it('comes back by itself when it lives again', () =>
    withDoomed(async (doomed) => {
      const session = await rest.session();
      const steady = await openPage(chrome, session, '0.9');
      await steady.page.publishTone(880);
      const back = await openDoomed(doomed, session, steady.page);
      await Promise.all(back.map(({ page }) => page.hears(880, { participantId: steady.who.id })));
      doomed.freeze();
      await Promise.all(
        back.map(({ who }) => steady.page.loses({ participantId: who.id, withinMs: NOTICED_WITHIN_MS })),
      );
      doomed.thaw();
      await Promise.all(
        back.flatMap(({ who, page }, index) => [
          steady.page.hears(TONES[index]!, { participantId: who.id, alias: 'voice', withinMs: 30_000 }),
          page.hears(880, { participantId: steady.who.id, withinMs: 30_000 }),
        ]),
      );
    }));
});

it.concurrent(
  'keeps sockets whose proxy passes data on only every 3 s',
  { timeout: 120_000 },
  async ({ onTestFinished }) => {
    const relay = await TcpRelay.start(gateway.httpPort);
    onTestFinished(() => relay.stop());
    const session = await rest.session();
    const slow = await Promise.all(
      CLIENT_VERSIONS.map((client) =>
        openMember({ gateway, chrome, gatewayUrl: `ws://127.0.0.1:${String(relay.port)}` }, session, client),
      ),
    );
    const steady = await openMember({ gateway, chrome }, session, '0.12');
    const devices = (): Promise<string[]> =>
      Promise.all(slow.map(async ({ who }) => (await rest.device(who.id)).id));
    const before = await devices();
    relay.burst(3_000);
    // Twice the time after which a silent socket is closed.
    await until('six bursts', () => relay.bursts >= 6, { withinMs: 30_000 });
    await steady.page.publishTone(440);
    await Promise.all(slow.map(({ page }) => page.hears(440, { withinMs: 20_000 })));
    expect(await devices()).toEqual(before);
    // Other tests lose sockets meanwhile.
    const ids = slow.map(({ who }) => who.id);
    const lost = gateway.log.filter(
      ({ msg, participantId }) => msg === 'browser socket lost' && ids.includes(participantId as string),
    );
    expect(lost).toEqual([]);
  },
);
