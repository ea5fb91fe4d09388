import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { Front } from '../support/front.js';
import { leftHosts, startGateway, type TestGateway } from '../support/gateway.js';
import { HAS_KAMAILIO } from '../support/kamailio.js';
import { openMember } from '../support/member.js';
import { freePort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { hasProxy } from '../support/tls-proxy.js';
import { until } from '../support/until.js';
import { usePostgres } from '../support/use-postgres.js';

/** The clients take 14 s to see that their media are lost, and try every 5 s from then on. */
const BACK_WITHIN_MS = 60_000;
const LIMIT = { withinMs: 30_000 };

describe.skipIf(!HAS_KAMAILIO || !hasProxy('haproxy'))('HAProxy and Kamailio before two gateways', () => {
  const server = usePostgres();
  const folders: string[] = [];
  const running: Promise<TestGateway>[] = [];
  const fronts: Front[] = [];
  let chrome: TestBrowser;

  beforeAll(async () => {
    chrome = await launchChromium();
  });
  afterAll(async () => {
    await chrome.close();
    for (const front of fronts) await front.stop();
    for (const gateway of running)
      await gateway.then(
        (one) => one.kill(),
        () => undefined,
      );
    for (const folder of folders) {
      for (const pid of leftHosts(folder)) process.kill(pid, 'SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });

  it('lead pages and calls to both, and to the other one when the leader has died', async () => {
    const url = await server().database();
    const ports = await Promise.all(
      [1, 2].map(async () => ({ http: await freePort(), sip: await freePort() })),
    );
    const start = ({ http, sip }: { http: number; sip: number }): Promise<TestGateway> => {
      const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-front-'));
      folders.push(dataDir);
      const gateway = startGateway({
        dataDir,
        env: {
          PATCHBAY_STORE: url,
          PATCHBAY_MEDIA_HOSTS: '1',
          PATCHBAY_HTTP_PORT: String(http),
          PATCHBAY_SIP_PORT: String(sip),
          PATCHBAY_DRACHTIO: '',
          PATCHBAY_FREESWITCH: '',
        },
      });
      gateway.catch(() => undefined);
      running.push(gateway);
      return gateway;
    };
    const [one, two] = ports as [(typeof ports)[0], (typeof ports)[0]];
    const [first, second] = [await start(one), await start(two)];
    const http = await Front.http([one.http, two.http]);
    fronts.push(http);
    const sip = await Front.sip([one.sip, two.sip]);
    fronts.push(sip);
    const at = `http://127.0.0.1:${String(http.port)}`;
    const ready = () =>
      until('a gateway behind HAProxy', async () => (await fetch(`${at}/readyz`)).status === 200, LIMIT);
    await ready();

    const rest = new Rest(first);
    const session = await rest.session();
    const gatewayUrl = at.replace('http', 'ws');
    const [talker, listener] = [
      await openMember({ gateway: first, chrome, gatewayUrl }, session, '0.12'),
      await openMember({ gateway: first, chrome, gatewayUrl }, session, '0.9'),
    ];
    await talker.page.publishTone(440);
    await listener.page.hears(440);
    const phone = await rest.member(session);
    const call = (): Promise<SippCall> => placeCall({ sipPort: sip.port, token: phone.token, tone: 700 });
    const before = await call();
    await before.tones.hears(440);
    await listener.page.hears(700);

    await first.kill();
    await ready();
    await before.end();
    // The call was up when its gateway died: the participant's place is free once that is known.
    const after = await until(
      'an answered call by Kamailio',
      async () => {
        const next = await call();
        if ((await next.final()).status === 200) return next;
        await next.end();
        return undefined;
      },
      { withinMs: 60_000, everyMs: 500 },
    );
    try {
      await listener.page.hears(700, { withinMs: BACK_WITHIN_MS });
      await listener.page.hears(440, { withinMs: BACK_WITHIN_MS });
      await after.tones.hears(440);
      const members = (await new Rest(second).request(
        'GET',
        `/sessions/${session}/participants`,
      )) as object[];
      expect(members).toHaveLength(3);
      await after.hangUp();
    } finally {
      await after.end();
    }
  }, 180_000);
});
