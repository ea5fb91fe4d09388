import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, rows } from '../../src/store/libsql/database.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { freePort } from '../support/ports.js';
import { phoneOffer, placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

describe.each([
  ['together with its media', '0'],
  ['but for its media host', '1'],
])('calls of a gateway that was killed %s', (_what, hosts) => {
  let dataDir: string;
  let gateway: TestGateway;
  let rest: Rest;
  let members: TestParticipant[];
  let calls: SippCall[];

  // Only the embedded SIP server starts anew with the gateway. Without a media host, media are in its process, and die too.
  const start = (sipPort: number): Promise<TestGateway> =>
    startGateway({
      dataDir,
      env: {
        PATCHBAY_SIP_HOST: '127.0.0.1,::1',
        PATCHBAY_SIP_PORT: String(sipPort),
        PATCHBAY_DRACHTIO: '',
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_MEDIA_HOSTS: hosts,
      },
    });

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'patchbay-calls-'));
    gateway = await start(await freePort());
    rest = new Rest(gateway);
    const session = await rest.session();
    members = [await rest.member(session), await rest.member(session)];
    const [one, other] = members as [TestParticipant, TestParticipant];
    calls = [
      await placeCall({ sipPort: gateway.sipPort, token: one.token, tone: 440 }),
      // The other one over IPv6.
      await placeCall({
        sipPort: gateway.sipPort,
        token: other.token,
        tone: 700,
        host: '::1',
        invite: { sdp: (port) => phoneOffer(port, { host: '::1' }) },
      }),
    ];
    await calls[0]!.tones.hears(700);
    await calls[1]!.tones.hears(440);
  });

  afterEach(async () => {
    for (const call of calls) await call.end();
    await gateway.stop();
    rmSync(dataDir, { recursive: true });
  });

  /** Calls are written behind; the row of each is in the write-ahead log then. */
  const stored = (): Promise<unknown> =>
    until(
      'the calls in the store',
      async () => {
        const database = await openDatabase(join(dataDir, 'patchbay.db'));
        const [found] = await rows(database, 'SELECT count(*) AS calls FROM calls');
        database.close();
        return found?.['calls'] === 2;
      },
      { withinMs: 20_000 },
    );

  it('go on: the phones hear each other, and are ended from either side, with one usage record each', async () => {
    const devices = await Promise.all(members.map(({ id }) => rest.device(id)));
    const messages = calls.map((call) => call.messages.length);
    await stored();
    await gateway.kill();
    gateway = await start(gateway.sipPort);
    rest = new Rest(gateway);
    await gateway.waitForLog(({ msg }) => msg === 'Call goes on.');
    await calls[0]!.tones.hears(700);
    await calls[1]!.tones.hears(440);
    const after = await Promise.all(members.map(({ id }) => rest.device(id)));
    expect(after.map(({ id }) => id)).toEqual(devices.map(({ id }) => id));
    expect(
      calls.map((call) => call.messages.length),
      'no SIP message is needed',
    ).toEqual(messages);

    await rest.disconnectDevice(members[0]!.id);
    await calls[0]!.hungUp();
    await calls[1]!.hangUp();
    await until(
      'no device',
      async () => {
        const report = (await rest.request('GET', '/usage')) as { items: { endReason?: string }[] };
        return report.items.every(({ endReason }) => endReason !== undefined);
      },
      { withinMs: 20_000 },
    );
    const report = (await rest.request('GET', '/usage')) as { items: { endReason?: string }[] };
    expect(report.items.map(({ endReason }) => endReason).sort()).toEqual(['disconnected', 'left']);
  });

  it('get BYE when their participant is gone', async () => {
    await stored();
    await gateway.kill();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await database.exec(`DELETE FROM participants WHERE id = '${members[0]!.id}'`);
    database.close();
    gateway = await start(gateway.sipPort);
    await calls[0]!.hungUp();
    await calls[1]!.hangUp();
  });
});
