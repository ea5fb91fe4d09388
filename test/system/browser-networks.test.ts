import { execFile } from 'node:child_process';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  CLIENT_VERSIONS,
  type ClientPage,
  type ClientVersion,
  launchChromium,
  type TestBrowser,
} from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { NatNetwork, natMissing } from '../support/nat.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';

const SECRET = 'shared with coturn';

const missing = natMissing();

describe.skipIf(missing !== undefined)(
  `browsers behind symmetric NAT${missing ? ` (${missing})` : ''}`,
  () => {
    let network: NatNetwork;
    let gateway: TestGateway;
    let chrome: TestBrowser;
    let rest: Rest;

    beforeAll(async () => {
      network = new NatNetwork();
      const env = {
        PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()),
        PATCHBAY_HTTP_HOST: network.gatewayHost,
        PATCHBAY_WEBRTC_HOST: network.gatewayHost,
        PATCHBAY_PUBLIC_IP: network.announced,
        PATCHBAY_TURN_URLS: network.turnUrl,
        PATCHBAY_TURN_SECRET: SECRET,
      };
      [gateway, chrome] = await Promise.all([
        startGateway({ env }),
        launchChromium({ executablePath: network.chromium(), pagesHost: network.gatewayHost }),
        network.startTurn(SECRET),
      ]);
      rest = new Rest(gateway);
    });
    afterEach(() => chrome.closePages());
    afterAll(async () => {
      await Promise.all([chrome.close(), gateway.stop()]);
      await network.stop();
    });

    interface Ice {
      readonly client?: ClientVersion;
      readonly turn?: boolean;
      readonly iceTransportPolicy?: 'all' | 'relay';
    }

    async function join(session: string, { turn, ...options }: Ice): Promise<ClientPage> {
      const { id, token } = await rest.member(session);
      const ice = turn === true ? await rest.request('GET', `/participants/${id}/iceServers`) : {};
      return chrome.openClient({ ...options, ...(ice as object), token, gatewayUrl: gateway.wsUrl });
    }

    /** Two pages publish to each other and hear and see what the other publishes. */
    async function meet(ice: Ice): Promise<readonly ClientPage[]> {
      const session = await rest.session();
      const [one, two] = [await join(session, ice), await join(session, ice)];
      await one.publishTone(440, { video: true });
      await two.publishTone(880);
      await Promise.all([one.hears(880), two.hears(440)]);
      const { streamId } = await two.receives();
      await two.seesFrames(streamId, 10);
      return [one, two];
    }

    /** The candidate pairs in use. */
    async function ways(pages: readonly ClientPage[]): Promise<(string | undefined)[]> {
      const peers = (await Promise.all(pages.map((page) => page.peers()))).flat();
      expect(new Set(peers.map(({ remoteAddress }) => remoteAddress))).toEqual(new Set([network.announced]));
      return peers.map(({ candidatePair }) => candidatePair);
    }

    it('map each destination to another port', async () => {
      const ears = [createSocket('udp4'), createSocket('udp4')];
      const ports = await Promise.all(
        ears.map(async (ear) => {
          await once(ear.bind(0, network.gatewayHost), 'listening');
          return ear.address().port;
        }),
      );
      const heard = Promise.all(ears.map((ear) => once(ear, 'message')));
      const script = `
      const socket = require('node:dgram').createSocket('udp4');
      const send = (port) => new Promise((done) => socket.send('hello', port, '${network.gatewayHost}', done));
      Promise.all([${ports.join()}].map(send)).then(() => socket.close());`;
      await promisify(execFile)(network.node(), ['-e', script]);
      const from = ((await heard) as [Buffer, RemoteInfo][]).map(([, { port }]) => port);
      for (const ear of ears) ear.close();
      expect(from[0]).not.toBe(from[1]);
    });

    it.each(CLIENT_VERSIONS)(
      'reach the announced address of the gateway directly, client %s',
      async (client) => {
        const pages = await meet({ client });
        for (const way of await ways(pages)) expect(way).toMatch(/^(host|prflx|srflx)-host$/);
      },
    );

    it('use TURN when told to', async () => {
      const pages = await meet({ turn: true, iceTransportPolicy: 'relay' });
      expect(new Set(await ways(pages))).toEqual(new Set(['relay-host']));
    });

    it('use TURN when there is no other way', async () => {
      network.blockMedia(gateway.webrtcPort, true);
      try {
        const pages = await meet({ turn: true });
        expect(new Set(await ways(pages))).toEqual(new Set(['relay-host']));
      } finally {
        network.blockMedia(gateway.webrtcPort, false);
      }
    });
  },
);
