import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFailed, vi } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { openMember } from '../support/member.js';
import { readMetrics, sumOf } from '../support/metrics.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';

let dataDir: string;
let gateway: TestGateway;
let chrome: TestBrowser;
let rest: Rest;
let env: Record<string, string>;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-hosts-'));
  env = { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()) };
  [gateway, chrome] = await Promise.all([startGateway({ dataDir, env }), launchChromium()]);
  env['PATCHBAY_HTTP_PORT'] = String(gateway.httpPort);
  rest = new Rest(gateway);
});
afterEach(async () => {
  await Promise.all([chrome.close(), gateway.stop()]);
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a gateway that is killed and started again', { timeout: 90_000 }, () => {
  it('leaves the pages of a call as they are', async () => {
    onTestFailed(() => console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n')));
    const session = await rest.session();
    const [ann, bob] = await Promise.all([
      openMember({ gateway, chrome }, session, '0.12'),
      openMember({ gateway, chrome }, session, '0.9'),
    ]);
    await ann.page.publishTone(440, { alias: 'voice' });
    await bob.page.publishTone(880);
    const heard = await bob.page.receives({ participantId: ann.who.id });
    await bob.page.hears(440);
    await ann.page.hears(880);
    const device = await rest.device(ann.who.id);
    const before = (await bob.page.counters(heard.streamId)).audio!;
    await gateway.kill();
    gateway = await startGateway({ dataDir, env });
    await gateway.waitForLog(({ msg }) => msg === 'A browser of the gateway before goes on.');
    const after = (await bob.page.counters(heard.streamId)).audio!;
    expect(after.packetsLost - before.packetsLost).toBe(0);
    expect((after.concealedSamples - before.concealedSamples) / 48, 'ms concealed').toBeLessThan(60);
    expect(await rest.device(ann.who.id)).toMatchObject({ id: device.id, streams: [{ alias: 'voice' }] });
    // Changes are followed as before.
    await rest.subscribe(session, bob.who.id, { participants: [] });
    await bob.page.stopsHearing(440);
    await rest.subscribe(session, bob.who.id, { sessionId: session });
    await bob.page.hears(440);
    await vi.waitFor(async () => {
      expect(sumOf(await readMetrics(gateway), 'patchbay_browser_sockets')).toBe(2);
    }, 20_000);
    expect(gateway.log.filter(({ msg }) => msg === 'browser disconnected')).toEqual([]);
  });
});
