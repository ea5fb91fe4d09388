import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, onTestFailed, onTestFinished } from 'vitest';
import {
  CLIENT_VERSIONS,
  type ClientVersion,
  launchChromium,
  type TestBrowser,
} from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { type Member, openMember } from '../support/member.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { SocketProxy } from '../support/socket-proxy.js';
import { until } from '../support/until.js';

/**
 * From the new start of a gateway until everyone hears everyone again. The clients take 14 s to see that their media
 * is lost, and try every 5 s from then on.
 */
const BACK_WITHIN_MS = 25_000;

let dataDir: string;
let gateway: TestGateway;
let chrome: TestBrowser;
let rest: Rest;
let env: Record<string, string>;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-restart-'));
  env = { PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()) };
  [gateway, chrome] = await Promise.all([startGateway({ dataDir, env }), launchChromium()]);
  env['PATCHBAY_HTTP_PORT'] = String(gateway.httpPort);
  rest = new Rest(gateway);
});
afterEach(async () => {
  await Promise.all([chrome.close(), gateway.stop()]);
  rmSync(dataDir, { recursive: true, force: true });
});

function enter(session: string, client: ClientVersion, gatewayUrl = gateway.wsUrl): Promise<Member> {
  return openMember({ gateway, chrome, gatewayUrl }, session, client);
}

async function startAgain(): Promise<void> {
  gateway = await startGateway({ dataDir, env });
}

/** State of a member, to see why it did not come back if the test fails. */
function explainFailure(members: readonly Member[]): void {
  onTestFailed(() => {
    console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n'));
    for (const { who, page } of members) {
      console.error(`Participant ${who.id}:\n${page.console.slice(-40).join('\n')}`);
    }
  });
}

describe('browsers, both clients in one session', { timeout: 90_000 }, () => {
  it.each([
    ['killed', (running: TestGateway) => running.kill()],
    ['stopped', (running: TestGateway) => running.stop()],
  ])('publish and receive again by themselves when the gateway is %s and started again', async (_, end) => {
    const session = await rest.session();
    const [newer, older] = await Promise.all(CLIENT_VERSIONS.map((client) => enter(session, client)));
    const listener = await enter(session, '0.12');
    // A stream that comes and goes leaves an m-line behind that the restarted gateway must know of.
    const passing = await newer!.page.publish({ video: true });
    await newer!.page.publishTone(440, { alias: 'voice' });
    await older!.page.publishTone(880, { video: true });
    await older!.page.hears(440);
    await newer!.page.unpublish(passing.streamId);
    await listener.page.loses({ streamId: passing.streamId });
    for (const hz of [440, 880]) await listener.page.hears(hz);

    await end(gateway);
    await startAgain();
    explainFailure([listener, newer!, older!]);
    const heard = [
      listener.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
      listener.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
      newer!.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
      older!.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
    ];
    await Promise.all(heard);
    const { streamId } = await newer!.page.receives({ participantId: older!.who.id });
    await newer!.page.seesFrames(streamId, 10);
    // The session works as before: changes are followed.
    await newer!.page.publishTone(1_500, { alias: 'later' });
    await Promise.all([listener, older!].map(({ page }) => page.hears(1_500, { alias: 'later' })));
  });

  it('receive again when their answer to an offer was lost with the gateway', async () => {
    const session = await rest.session();
    const speaker = await enter(session, '0.12');
    await speaker.page.publishTone(440, { alias: 'before' });
    const proxies = await Promise.all(CLIENT_VERSIONS.map(() => SocketProxy.start(gateway.wsUrl)));
    onTestFinished(async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    });
    const listeners = await Promise.all(
      CLIENT_VERSIONS.map((client, i) => enter(session, client, proxies[i]!.url)),
    );
    await Promise.all(listeners.map(({ page }) => page.hears(440)));

    for (const proxy of proxies) {
      proxy.refuse(true);
      proxy.cutAtCall('answerSdp');
    }
    await speaker.page.publishTone(880, { alias: 'lost' });
    await until('sockets cut', () => proxies.every(({ sockets }) => sockets === 0), { withinMs: 20_000 });
    await gateway.kill();
    await startAgain();
    explainFailure([speaker, ...listeners]);
    for (const proxy of proxies) proxy.refuse(false);

    const heard = listeners.flatMap(({ page }) => [
      page.hears(440, { alias: 'before', withinMs: BACK_WITHIN_MS }),
      page.hears(880, { alias: 'lost', withinMs: BACK_WITHIN_MS }),
    ]);
    await Promise.all(heard);
  });
});
