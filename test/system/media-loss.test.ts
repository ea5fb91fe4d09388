import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ClientPage } from '../support/chromium.js';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { LossyHop } from '../support/lossy-hop.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';

/** About ten seconds of pictures. */
const FRAMES = 200;
const WITHIN_MS = 25_000;
/** Of the packets from one page to another, and of their feedback. */
const LOSS = 0.05;
/** Each packet crosses the hop twice: on its way to the gateway, and on from there. */
const LOSS_OF_A_CROSSING = 1 - Math.sqrt(1 - LOSS);

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

/** What a page made of a stream while it decoded {@link FRAMES} frames. */
async function watch(page: ClientPage, streamId: string) {
  const [before, startedAt] = [await page.counters(streamId), performance.now()];
  await page.seesFrames(streamId, FRAMES, WITHIN_MS);
  const [after, seconds] = [await page.counters(streamId), (performance.now() - startedAt) / 1000];
  const frozen = after.video!.totalFreezesSeconds - before.video!.totalFreezesSeconds;
  const concealed = after.audio!.concealedSamples - before.audio!.concealedSamples;
  const samples = after.audio!.totalSamples - before.audio!.totalSamples;
  const lost = after.audio!.packetsLost - before.audio!.packetsLost;
  return { frozen: frozen / seconds, concealed: concealed / samples, lost };
}

it('keeps pictures moving and sound whole when the network between two pages loses 5 % of the packets', async () => {
  const rest = new Rest(gateway);
  const session = await rest.session();
  const open = async (): Promise<ClientPage> => {
    const { token } = await rest.member(session);
    return chrome.openClient({ gatewayUrl: gateway.wsUrl, token });
  };
  const [speaker, listener] = [await open(), await open()];
  await speaker.publishTone(440, { video: true });
  const { streamId } = await listener.receives();
  await listener.hears(440);
  const clean = await watch(listener, streamId);

  hop.loss = LOSS_OF_A_CROSSING;
  const lossy = await watch(listener, streamId);
  expect(hop.dropped).toBeGreaterThan(20);
  expect(lossy.lost).toBeGreaterThan(0);
  // What a busy machine does to the page is no loss: it shows in the clean run too.
  expect(lossy.frozen - clean.frozen).toBeLessThan(0.02);
  // Nothing more than what is lost has to be made up; a broken stream would be concealed throughout.
  expect(lossy.concealed - clean.concealed).toBeLessThan(2 * LOSS);
  await listener.hears(440);
});
