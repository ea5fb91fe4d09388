import { expect, it, onTestFinished } from 'vitest';
import { CLIENT_VERSIONS, type ClientPage } from '../support/chromium.js';
import { useHopStage } from '../support/hop-stage.js';
import type { HopNetwork } from '../support/lossy-hop.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

/** What docs/browsers.md promises is less; a busy machine takes longer. */
const BACK_WITHIN_MS = 30_000;

const stage = useHopStage();

it(
  'are heard again when their network was away until their connections failed',
  { timeout: 120_000 },
  async () => {
    const session = await stage.rest.session();
    const relay = await TcpRelay.start(stage.gateway.httpPort);
    onTestFinished(() => relay.stop());
    const gatewayUrl = `ws://127.0.0.1:${String(relay.port)}`;
    const away: HopNetwork = { loss: 0 };
    const tones = [440, 880];
    const pages: ClientPage[] = [];
    for (const [i, client] of CLIENT_VERSIONS.entries()) {
      pages.push(await stage.open(session, away, { client, gatewayUrl }));
      await pages[i]!.publishTone(tones[i]!);
    }
    const steady = await stage.open(session, { loss: 0 });
    await Promise.all(tones.map((hz) => steady.hears(hz)));

    away.down = true;
    relay.stall();
    const asked = (page: ClientPage): number =>
      page.console.filter((line) => line.includes('Calling "offerSdp"')).length;
    const before = pages.map(asked);
    const failed = async (): Promise<boolean> => {
      // Each has asked for a new path; the request was lost.
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
