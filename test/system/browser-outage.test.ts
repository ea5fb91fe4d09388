import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { CLIENT_VERSIONS, type ClientPage, launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { type HopNetwork, LossyHop } from '../support/lossy-hop.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

/** What docs/browsers.md promises is less; a busy machine takes longer. */
const BACK_WITHIN_MS = 30_000;

let hop: LossyHop;
let gateway: TestGateway;
let chrome: TestBrowser;

beforeAll(async () => {
  hop = await LossyHop.start(await freeUdpPort());
  const env = { PATCHBAY_WEBRTC_PORT: String(hop.port), PATCHBAY_PUBLIC_IP: hop.address };
  [gateway, chrome] = await Promise.all([startGateway({ env }), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([chrome.close(), gateway.stop()]);
  hop.stop();
});

it(
  'are heard again when their network was away until their connections failed',
  { timeout: 120_000 },
  async () => {
    const rest = new Rest(gateway);
    const session = await rest.session();
    const relay = await TcpRelay.start(gateway.httpPort);
    onTestFinished(() => relay.stop());
    const open = async (network: HopNetwork, url: string, client: '0.12' | '0.9'): Promise<ClientPage> => {
      hop.network = network;
      const { token } = await rest.member(session);
      return chrome.openClient({ client, gatewayUrl: url, token });
    };
    const away: HopNetwork = { loss: 0 };
    const tones = [440, 880];
    const pages: ClientPage[] = [];
    for (const [i, client] of CLIENT_VERSIONS.entries()) {
      pages.push(await open(away, `ws://127.0.0.1:${String(relay.port)}`, client));
      await pages[i]!.publishTone(tones[i]!);
    }
    const steady = await open({ loss: 0 }, gateway.wsUrl, '0.12');
    await Promise.all(tones.map((hz) => steady.hears(hz)));

    away.down = true;
    relay.stall();
    const asked = (page: ClientPage): number =>
      page.console.filter((line) => line.includes('Calling "offerSdp"')).length;
    const before = pages.map(asked);
    const failed = async (): Promise<boolean> => {
      // Each has asked for another path, which is lost.
      if (!pages.every((page, i) => asked(page) > before[i]!)) return false;
      const peers = await Promise.all(pages.map((page) => page.peers()));
      return peers.every((list) =>
        list.some(({ role, connectionState }) => role === 'publish' && connectionState === 'failed'),
      );
    };
    await until('connections failed', failed, { withinMs: 40_000 });
    await steady.stopsHearing(440);
    away.down = false;
    relay.release();
    const heard = await Promise.all(tones.map((hz) => steady.hears(hz, { withinMs: BACK_WITHIN_MS })));
    expect(heard).toHaveLength(tones.length);
  },
);
