import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import {
  CLIENT_VERSIONS,
  type ClientPage,
  type ClientVersion,
  launchChromium,
  type TestBrowser,
} from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest, type TestParticipant } from '../support/rest.js';

/** From the new start of a gateway until everyone hears everyone again. */
const BACK_WITHIN_MS = 25_000;

interface Scene {
  readonly chrome: TestBrowser;
  gateway: TestGateway;
  /** Starts the gateway again, with the ports and the data that it had. */
  startAgain(): Promise<void>;
}

async function withScene(test: (scene: Scene) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-restart-'));
  const env: Record<string, string> = { PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()) };
  const [gateway, chrome] = await Promise.all([startGateway({ dataDir, env }), launchChromium()]);
  env['PATCHBAY_HTTP_PORT'] = String(gateway.httpPort);
  const scene: Scene = {
    chrome,
    gateway,
    startAgain: async () => {
      scene.gateway = await startGateway({ dataDir, env });
    },
  };
  try {
    await test(scene);
  } finally {
    await Promise.all([chrome.close(), scene.gateway.stop()]);
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Member {
  readonly who: TestParticipant;
  readonly page: ClientPage;
}

async function enter({ gateway, chrome }: Scene, session: string, client: ClientVersion): Promise<Member> {
  const who = await new Rest(gateway).member(session);
  return { who, page: await chrome.openClient({ client, gatewayUrl: gateway.wsUrl, token: who.token }) };
}

// Most of their time the clients wait before they try again: the two wait together.
describe.concurrent('browsers, both clients in one session', () => {
  it.each([
    ['killed', (running: TestGateway) => running.kill()],
    ['stopped', (running: TestGateway) => running.stop()],
  ])('publish and receive again by themselves when the gateway is %s and started again', (_, end) =>
    withScene(async (scene) => {
      const session = await new Rest(scene.gateway).session();
      const [newer, older] = await Promise.all(
        CLIENT_VERSIONS.map((client) => enter(scene, session, client)),
      );
      const listener = await enter(scene, session, '0.12');
      // A stream that comes and goes leaves an m-line behind that the restarted gateway must know of.
      const passing = await newer!.page.publish({ video: true });
      await newer!.page.publishTone(440, { alias: 'voice' });
      await older!.page.publishTone(880, { video: true });
      await older!.page.hears(440);
      await newer!.page.unpublish(passing.streamId);
      await listener.page.loses({ streamId: passing.streamId });
      for (const hz of [440, 880]) await listener.page.hears(hz);

      await end(scene.gateway);
      await scene.startAgain();
      const heard = [
        listener.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
        listener.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
        newer!.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
        older!.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
      ];
      await Promise.all(heard);
      const { streamId } = await newer!.page.receives({ participantId: older!.who.id });
      await newer!.page.seesFrames(streamId, 10);
      // The session goes on as if nothing had been: changes are followed.
      await newer!.page.publishTone(1_500, { alias: 'later' });
      await Promise.all([listener, older!].map(({ page }) => page.hears(1_500, { alias: 'later' })));
    }),
  );
});
