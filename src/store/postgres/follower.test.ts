import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usePostgres } from '../../../test/support/use-postgres.js';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import { createCore } from '../../core/index.js';
import { ACCOUNT } from '../../core/testing/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { Follower, openStore, postgresTarget, type Store } from '../index.js';

const server = usePostgres();
let url: string;
let leader: Store;
let follower: Follower;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  url = await server().database();
  leader = await open();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: { follower?: Follower } = {}): Promise<Store> {
  const dataDir = await mkdtemp(join(tmpdir(), 'patchbay-follower-'));
  const store = await openStore({ dataDir, postgres: postgresTarget(url), log: silentLog, ...options });
  closing.push(async () => {
    await store.close();
    await rm(dataDir, { recursive: true });
  });
  return store;
}

async function follow(port?: number): Promise<void> {
  const target = postgresTarget(url);
  follower = await Follower.start({
    target: port === undefined ? target : { ...target, port },
    log: silentLog,
  });
  const started = follower;
  closing.push(() => started.stop());
}

const sql = (text: string): Promise<string[]> => server().sql(text, url);

/** Waits until the follower has all that is committed. */
async function upToDate(): Promise<void> {
  await leader.flush();
  const last = Number((await sql('SELECT last FROM patchbay.change_log'))[0]);
  await until('the follower', () => follower.health().change >= last, { withinMs: 20_000 });
}

const idOf = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const record = (n: number) =>
  ({
    id: idOf(n),
    connectionId: `c${n}`,
    accountId: ACCOUNT,
    participantId: 'p',
    kind: 'phone',
    direction: 'inbound',
    deviceId: `call-${n}`,
    startedAt: n,
    seenAt: n,
  }) as const;
const point = (participantId: string, externalId: string, revision: number) => ({
  participantId,
  externalId,
  point: { layout: ['audio'] as const, revision },
});
const webhookOf = (n: number) => ({ id: idOf(n) }) as Parameters<Store['usage']['saveWebhook']>[0];

/** Changes of all kinds: each thing is saved, changed or deleted, and some twice. */
function changeAll({ core, calls, programs, edges, usage }: Store, round: number): void {
  const at = round * 100;
  const made = createCore({ tokenSecret: 'x'.repeat(40), store: core, log: silentLog });
  const session = made.createSession(ACCOUNT, { tag: `round ${round}` });
  made.createParticipant(ACCOUNT, { publishPermissions: ['video'] });
  const { participant } = made.createParticipant(ACCOUNT, { tag: 'gone' });
  for (let n = 1; n <= 3; n += 1) {
    core.saveSession({ ...session, id: idOf(at + n) });
    core.saveResumePoint(point(idOf(n), `a "b" ${n}, é`, at + n));
    calls.saveCall(`call ${at + n}`, `document ${n}`, `edge ${n % 2}`);
    programs.saveProgram(`program ${at + n}`, `document ${n}`);
    edges.saveEdge(`edge ${at + n}`, { process: 'p', counted: n, closing: { d: 'left' } });
    usage.saveRecord(record(at + n));
    usage.saveWebhook(webhookOf(at + n));
  }
  core.deleteSession(idOf(at + 1));
  core.saveSession({ ...session, id: idOf(at + 1), tag: 'again' });
  core.deleteSession(idOf(at + 2));
  core.deleteParticipant(participant.id);
  core.deleteResumePoint(idOf(2), 'a "b" 2, é');
  core.deleteParticipant(idOf(3));
  calls.deleteCall(`call ${at + 2}`);
  programs.deleteProgram(`program ${at + 2}`);
  edges.deleteEdge(`edge ${at + 2}`);
  usage.saveRecord({ ...record(at + 2), endedAt: at + 5, endReason: 'left' });
  usage.deleteWebhook(idOf(at + 2));
  usage.heartbeat(at + 50);
}

const stateOf = ({ core, calls, programs, edges, usage }: Store): object => ({
  core: core.load(),
  calls: [calls.recordsOf('edge 0'), calls.recordsOf('edge 1')],
  programs: programs.programs(),
  edges: edges.edges(),
  records: usage.openRecords(),
  webhooks: usage.webhooks(),
});

describe('a follower', () => {
  it('has at a take-over what a start would read', async () => {
    changeAll(leader, 1);
    await leader.flush();
    await follow();
    for (const round of [2, 3, 4]) {
      changeAll(leader, round);
      if (round === 3) await upToDate();
      else await leader.flush();
    }
    const followed = stateOf(await open({ follower }));
    const read = stateOf(await open());
    expect(followed).toEqual(read);
    expect(read).toMatchObject({ records: Array(8).fill(expect.objectContaining({ kind: 'phone' })) });
    expect(follower.health().reloads).toBe(0);
  });

  it('gives the right to write with it: the leader before is refused', async () => {
    await follow();
    const next = await open({ follower });
    leader.core.deleteSession('x');
    await expect(leader.flush()).rejects.toMatchObject({ code: 'PATCHBAY_STORE_FAILED' });
    next.core.deleteSession('x');
    await next.flush();
  });

  it('reads all anew when it was away for longer than deletions are kept', async () => {
    changeAll(leader, 1);
    await leader.flush();
    const relay = await TcpRelay.start(server().port);
    closing.push(() => relay.stop());
    await follow(relay.port);
    relay.down();
    changeAll(leader, 2);
    await leader.flush();
    // Eleven minutes later.
    await sql(`UPDATE patchbay.deletions SET at = at - interval '11 minutes';
      UPDATE patchbay.change_log SET trimmed_at = trimmed_at - interval '11 minutes'`);
    leader.core.deleteSession('x');
    await leader.flush();
    expect(await sql('SELECT count(*) FROM patchbay.deletions')).toEqual(['0']);
    relay.up();
    await upToDate();
    expect(follower.health().reloads).toBe(1);
    const followed = stateOf(await open({ follower }));
    expect(followed).toEqual(stateOf(await open()));
  });

  it('goes on by itself when the database was away', async () => {
    await follow();
    await server().kill();
    await server().again();
    changeAll(leader, 1);
    await until('the leader', () => leader.health().waiting === 0, { withinMs: 20_000 });
    await upToDate();
    expect(follower.health().reloads).toBe(0);
  });

  it('hands 20,000 participants over by the changes alone', async () => {
    const core = createCore({ tokenSecret: leader.tokenSecret, store: leader.core, log: silentLog });
    const { participant } = core.createParticipant(ACCOUNT, { tag: 'x'.repeat(50) });
    for (let n = 1; n < 20_000; n += 1) leader.core.saveParticipant({ ...participant, id: idOf(n) });
    await leader.flush();
    await follow();
    for (let n = 1; n <= 100; n += 1)
      leader.core.saveParticipant({ ...participant, id: idOf(n), tag: 'new' });
    await leader.flush();
    // What is not read again may as well be gone.
    await sql(`DELETE FROM patchbay.participants WHERE change < (SELECT last FROM patchbay.change_log)`);
    const startedAt = performance.now();
    const next = await open({ follower });
    const tookMs = performance.now() - startedAt;
    const { participants } = next.core.load();
    expect(participants).toHaveLength(20_000);
    expect(participants.filter(({ tag }) => tag === 'new')).toHaveLength(100);
    // Times are no assertions: this one is for whoever runs the test alone.
    console.info(`20,000 participants were handed over in ${Math.round(tookMs)} ms`);
  });
});
