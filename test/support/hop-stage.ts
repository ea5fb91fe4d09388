import { afterAll, beforeAll } from 'vitest';
import { type ClientPage, type ClientVersion, launchChromium, type TestBrowser } from './chromium.js';
import { startGateway, type TestGateway } from './gateway.js';
import { type HopNetwork, LossyHop } from './lossy-hop.js';
import { freeUdpPort } from './ports.js';
import { Rest } from './rest.js';

interface PageOptions {
  readonly client?: ClientVersion;
  /** The gateway's WebSocket; default: straight to it. */
  readonly gatewayUrl?: string;
}

/** A gateway behind a hop that loses packets, and a browser, for the tests of one file. */
interface HopStage {
  readonly gateway: TestGateway;
  readonly rest: Rest;
  /** Opens a page of a new participant of the session, whose media go through a network of its own. */
  open(session: string, network: HopNetwork, options?: PageOptions): Promise<ClientPage>;
}

/** Call it at the top of a file. The parts are there from `beforeAll` on. */
export function useHopStage(): HopStage {
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

  return {
    get gateway() {
      return gateway;
    },
    get rest() {
      return new Rest(gateway);
    },
    async open(session, network, { client = '0.12', gatewayUrl = gateway.wsUrl } = {}) {
      hop.network = network;
      const { token } = await new Rest(gateway).member(session);
      return chrome.openClient({ client, gatewayUrl, token });
    },
  };
}
