import { afterAll, beforeAll, describe, it, type TestContext } from 'vitest';
import {
  CLIENT_VERSIONS,
  type ClientVersion,
  launchChromium,
  type TestBrowser,
} from '../support/chromium.js';
import { LastingGateway } from '../support/lasting-gateway.js';
import { type Member, openMember } from '../support/member.js';
import { SocketProxy } from '../support/socket-proxy.js';
import { until } from '../support/until.js';

/**
 * From the new start of a gateway until everyone hears everyone again. The clients take 14 s to see that their media
 * is lost, and try every 5 s from then on; a busy machine takes longer.
 */
const BACK_WITHIN_MS = 40_000;

let chrome: TestBrowser;
beforeAll(async () => {
  chrome = await launchChromium();
});
afterAll(() => chrome.close());

/** A session at a gateway that will be started again, for one test. */
class Scene {
  readonly gateway: LastingGateway;
  readonly session: string;
  readonly members: Member[] = [];

  private constructor(gateway: LastingGateway, session: string) {
    this.gateway = gateway;
    this.session = session;
  }

  static async open({ onTestFailed, onTestFinished }: TestContext): Promise<Scene> {
    const gateway = await LastingGateway.start();
    const scene = new Scene(gateway, await gateway.rest.session());
    onTestFinished(() => scene.#close());
    onTestFailed(() => scene.#explain());
    return scene;
  }

  async enter(client: ClientVersion, gatewayUrl = this.gateway.wsUrl): Promise<Member> {
    const member = await openMember(
      { gateway: this.gateway.running, chrome, gatewayUrl },
      this.session,
      client,
    );
    this.members.push(member);
    return member;
  }

  async #close(): Promise<void> {
    await Promise.all(this.members.map(({ page }) => page.close()));
    await this.gateway.stop();
  }

  /** State of the members, to see why they did not come back. */
  #explain(): void {
    console.error(this.gateway.running.log.map((line) => JSON.stringify(line)).join('\n'));
    for (const { who, page } of this.members) {
      console.error(`Participant ${who.id}:\n${page.console.slice(-40).join('\n')}`);
    }
  }
}

describe('browsers, both clients in one session', { timeout: 120_000 }, () => {
  // They mostly wait for the clients to notice, so they run at the same time; a third would hold them up.
  it.concurrent.for([
    ['killed', 'kill'],
    ['stopped', 'stop'],
  ] as const)(
    'publish and receive again by themselves when the gateway is %s and started again',
    async ([, end], context) => {
      const scene = await Scene.open(context);
      const [newer, older] = await Promise.all(CLIENT_VERSIONS.map((client) => scene.enter(client)));
      const listener = await scene.enter('0.12');
      // A stream that comes and goes leaves an m-line behind that the restarted gateway must know of.
      const passing = await newer!.page.publish({ video: true });
      await newer!.page.publishTone(440, { alias: 'voice' });
      await older!.page.publishTone(880, { video: true });
      await older!.page.hears(440);
      await newer!.page.unpublish(passing.streamId);
      await listener.page.loses({ streamId: passing.streamId });
      for (const hz of [440, 880]) await listener.page.hears(hz);

      await scene.gateway.again(end);
      const heard = [
        listener.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
        listener.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
        newer!.page.hears(880, { participantId: older!.who.id, withinMs: BACK_WITHIN_MS }),
        older!.page.hears(440, { alias: 'voice', participantId: newer!.who.id, withinMs: BACK_WITHIN_MS }),
      ];
      await Promise.all(heard);
      await newer!.page.seesPictures({ participantId: older!.who.id });
      // The session works as before: changes are followed.
      await newer!.page.publishTone(1_500, { alias: 'later' });
      await Promise.all([listener, older!].map(({ page }) => page.hears(1_500, { alias: 'later' })));
    },
  );

  it('receive again when their answer to an offer was lost with the gateway', async (context) => {
    const scene = await Scene.open(context);
    const speaker = await scene.enter('0.12');
    await speaker.page.publishTone(440, { alias: 'before' });
    const proxies = await Promise.all(CLIENT_VERSIONS.map(() => SocketProxy.start(scene.gateway.wsUrl)));
    context.onTestFinished(async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    });
    const listeners = await Promise.all(
      CLIENT_VERSIONS.map((client, i) => scene.enter(client, proxies[i]!.url)),
    );
    await Promise.all(listeners.map(({ page }) => page.hears(440)));

    for (const proxy of proxies) {
      proxy.refuse(true);
      proxy.cutAtCall('answerSdp');
    }
    await speaker.page.publishTone(880, { alias: 'lost' });
    await until('sockets cut', () => proxies.every(({ sockets }) => sockets === 0), { withinMs: 20_000 });
    await scene.gateway.again('kill');
    for (const proxy of proxies) proxy.refuse(false);

    const heard = listeners.flatMap(({ page }) => [
      page.hears(440, { alias: 'before', withinMs: BACK_WITHIN_MS }),
      page.hears(880, { alias: 'lost', withinMs: BACK_WITHIN_MS }),
    ]);
    await Promise.all(heard);
  });
});
