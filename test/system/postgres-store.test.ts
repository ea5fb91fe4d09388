import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endReasonOf } from '../support/closed-usage.js';
import { failedStart, startGateway, type TestGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { usePostgres } from '../support/use-postgres.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const LIMIT = { withinMs: 30_000 };
const FAILED = /: 503 .*"PATCHBAY_STORE_FAILED"/;
const REFUSED = /: 503 .*"PATCHBAY_STORE_UNAVAILABLE"/;
// Of the password that the server of tests has.
const SECRET = /s3cret|100%25|100 %/;

interface UsageItem {
  readonly participantId: string;
  readonly endReason?: string;
  readonly startedAt: string;
}

describe('a gateway on PostgreSQL', () => {
  const server = usePostgres({ durable: true });
  const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-postgres-store-'));
  let url: string;
  let gateway: TestGateway;
  let rest: Rest;
  let session: string;
  let members: TestParticipant[];
  let calls: SippCall[];

  // Only the embedded SIP server starts anew with the gateway.
  const start = (sipPort: number): Promise<TestGateway> =>
    startGateway({
      dataDir,
      env: {
        PATCHBAY_STORE: url,
        PATCHBAY_SIP_PORT: String(sipPort),
        PATCHBAY_DRACHTIO: '',
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_MEDIA_HOSTS: '1',
      },
    });

  beforeAll(async () => {
    url = await server().database();
    gateway = await start(await freePort());
    rest = new Rest(gateway);
    session = await rest.session();
    members = [await rest.member(session), await rest.member(session)];
    const { sipPort } = gateway;
    calls = [
      await placeCall({ sipPort, token: members[0]!.token, tone: 440 }),
      await placeCall({ sipPort, token: members[1]!.token, tone: 700 }),
    ];
  });

  afterAll(async () => {
    for (const call of calls) await call.end();
    await gateway.stop();
    rmSync(dataDir, { recursive: true });
  });

  const talking = async (): Promise<void> => {
    await calls[0]!.tones.hears(700);
    await calls[1]!.tones.hears(440);
  };
  const readiness = async (): Promise<number> => (await fetch(`${gateway.httpUrl}/readyz`)).status;
  const participants = async (): Promise<string[]> => {
    const { items } = (await rest.request('GET', '/participants?limit=1000')) as { items: { id: string }[] };
    return items.map(({ id }) => id);
  };
  const stored = (): Promise<string[]> =>
    server().sql('SELECT id FROM patchbay.participants ORDER BY id', url);

  /** The database goes away, and comes back: changes are refused meanwhile, and calls go on. */
  async function lost(away: () => Promise<void> | void, back: () => Promise<void> | void): Promise<void> {
    await talking();
    const before = await participants();
    await away();
    let inFlight: string[];
    try {
      const answer = await rest.participant({ tag: 'in flight' }).then(
        () => 'done',
        (error: unknown) => String(error),
      );
      inFlight = (await participants()).filter((id) => !before.includes(id));
      // Refused, if another write has found out before it.
      if (REFUSED.test(answer)) expect(inFlight).toEqual([]);
      else expect([answer, inFlight.length]).toEqual([expect.stringMatching(FAILED), 1]);
      await expect(rest.participant()).rejects.toThrow(REFUSED);
      await expect(rest.session()).rejects.toThrow(REFUSED);
      await expect(rest.deleteParticipant(members[0]!.id)).rejects.toThrow(REFUSED);
      await expect(rest.leave(session, members[0]!.id)).rejects.toThrow(REFUSED);
      await expect(rest.request('GET', '/usage')).rejects.toThrow(REFUSED);
      expect(await readiness()).toBe(503);
      await talking();
    } finally {
      await back();
    }
    await until('readiness', async () => (await readiness()) === 200, LIMIT);
    expect(await stored()).toEqual([...before, ...inFlight].sort());
    for (const id of inFlight) await rest.deleteParticipant(id);
    expect(await stored()).toEqual([...before].sort());
    await talking();
  }

  it('goes on when the database is killed and started again', () =>
    lost(
      () => server().kill(),
      () => server().again(),
    ));

  it('goes on when the database is paused for longer than a commit may take', () =>
    lost(
      () => server().pause(),
      () => server().resume(),
    ));

  it('is carried on by the next one when it is killed, usage included', async () => {
    await until(
      'the calls in the store',
      async () => (await server().sql('SELECT id FROM patchbay.calls', url)).length === 2,
      LIMIT,
    );
    const messages = calls.map((call) => call.messages.length);
    await gateway.kill();
    gateway = await start(gateway.sipPort);
    rest = new Rest(gateway);
    await gateway.waitForLog(({ msg }) => msg === 'Call goes on.');
    await talking();
    expect(calls.map((call) => call.messages.length)).toEqual(messages);
    await rest.disconnectDevice(members[0]!.id);
    await calls[0]!.hungUp();
    await calls[1]!.hangUp();
    const report = async (): Promise<UsageItem[]> =>
      ((await rest.request('GET', '/usage')) as { items: UsageItem[] }).items;
    await until(
      'the ends',
      async () => (await report()).every(({ endReason }) => endReason !== undefined),
      LIMIT,
    );
    const items = await report();
    expect(items.map(({ participantId, endReason }) => [participantId, endReason])).toEqual([
      [members[0]!.id, 'disconnected'],
      [members[1]!.id, 'left'],
    ]);
    const rows = await server().sql(
      'SELECT participant_id FROM patchbay.usage_records ORDER BY started_at',
      url,
    );
    expect(rows).toEqual(members.map(({ id }) => id));
    expect(await server().sql('SELECT id FROM patchbay.calls', url)).toEqual([]);
  });

  it('refuses to be copied as a data folder is, and tells nobody the password', async () => {
    const command = [process.execPath, 'dist/app/maintain.js', 'backup'] as const;
    const { status, stderr } = spawnSync(command[0], command.slice(1), {
      env: { ...process.env, PATCHBAY_STORE: url },
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([1, expect.stringContaining('pg_dump')]);
    expect(stderr).not.toMatch(SECRET);
    expect(JSON.stringify(gateway.log)).not.toMatch(SECRET);
    expect(JSON.stringify(await rest.request('GET', '/gateway'))).not.toMatch(SECRET);
    const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text();
    expect(metrics).toContain('patchbay_store_writable 1');
    expect(metrics).not.toContain('patchbay_backup_timestamp_seconds');
  });

  it('ends when the database says that another gateway leads, even if it writes nothing', async () => {
    await server().sql(
      `UPDATE patchbay.leader SET epoch = epoch + 1, holder = 'another', expires_at = now()`,
      url,
    );
    await gateway.waitForLog(({ msg }) => /taken over the database/.test(msg ?? ''));
    expect(await gateway.stop()).toBe(1);
    // Its media host waits for the next gateway of its folder.
    gateway = await start(gateway.sipPort);
  });

  it('goes on with what `npm run migrate` moved out of a data folder', async () => {
    const folder = join(dataDir, 'moved');
    const old = await startGateway({ dataDir: folder });
    const before = new Rest(old);
    const moving = await before.session('moving');
    const member = await before.member(moving);
    const call = await placeCall({ sipPort: old.sipPort, token: member.token });
    expect((await call.final()).status).toBe(200);
    await call.hangUp();
    await call.end();
    await endReasonOf(before, member.id);
    const report = await before.request('GET', '/usage');
    const into = await server().database();
    const migrate = () =>
      spawnSync('npm', ['run', '--silent', 'migrate'], {
        env: { ...process.env, PATCHBAY_DATA_DIR: folder, PATCHBAY_STORE: into },
        encoding: 'utf8',
      });
    const inUse = migrate();
    expect([inUse.status, inUse.stderr]).toEqual([1, expect.stringContaining('Another gateway uses')]);
    await old.stop();
    const { status, stdout } = migrate();
    expect([status, stdout]).toEqual([0, expect.stringContaining('usage_records: 1 rows')]);
    const next = await startGateway({ dataDir: folder, env: { PATCHBAY_STORE: into } });
    const after = new Rest(next);
    expect(await after.request('GET', '/usage')).toEqual(report);
    const again = await placeCall({ sipPort: next.sipPort, token: member.token });
    expect((await again.final()).status).toBe(200);
    await again.hangUp();
    await again.end();
    expect(await next.stop()).toBe(0);
  });

  it('does not start without its database, and says why without the password', async () => {
    const { code, words } = await failedStart({
      dataDir: join(dataDir, 'other'),
      env: { PATCHBAY_STORE: server().url('nowhere') },
    });
    expect(code).toBe(1);
    expect(words).toContain('could not start: PATCHBAY_STORE: there is no database nowhere');
    expect(words).not.toMatch(SECRET);
  });
});
