import { describe, expect, it, vi } from 'vitest';
import { usePostgres } from '../../test/support/use-postgres.js';
import { createCore, type Core } from '../core/index.js';
import { ACCOUNT, FakeDevice } from '../core/testing/index.js';
import { silentLog } from '../shared/testing/index.js';
import type { KeptRecord } from '../usage/index.js';
import type { Store } from './index.js';
import { type EngineName, EngineStage } from './testing/engines.js';

const server = usePostgres();

const idOf = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;

const record = (n: number, more: Partial<KeptRecord> = {}): KeptRecord => ({
  id: idOf(n),
  connectionId: `c${n}`,
  accountId: ACCOUNT,
  participantId: 'p',
  kind: 'phone',
  direction: 'inbound',
  deviceId: `call-${n}`,
  startedAt: n * 1_000,
  seenAt: n * 1_000,
  ...more,
});

const ended = (n: number, more: Partial<KeptRecord> = {}): KeptRecord =>
  record(n, { endedAt: n * 1_000 + 500, endReason: 'left', ...more });

const webhook = (n: number) =>
  ({
    id: idOf(n),
    url: 'http://127.0.0.1:9/',
    at: n,
    text: 'it\'s \\u0000 "quoted" 😀\u0000',
  }) as unknown as Parameters<Store['usage']['saveWebhook']>[0];

function coreOn(store: Store): Core {
  return createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });
}

/** What is said of each store, whatever its engine. */
describe.each<[EngineName]>([['libsql'], ['PostgreSQL']])('a store on %s', (engine) => {
  const stage = new EngineStage(engine, server);
  // Each engine has a way of its own to refuse the rows of one table.
  const [refusingParticipants, takingParticipants] =
    engine === 'libsql'
      ? [
          "CREATE TRIGGER refuse BEFORE INSERT ON participants BEGIN SELECT RAISE(ABORT, 'refused'); END",
          'DROP TRIGGER refuse',
        ]
      : [
          'ALTER TABLE participants ADD CONSTRAINT refuse CHECK (false)',
          'ALTER TABLE participants DROP CONSTRAINT refuse',
        ];
  const warnings = (): string => stage.logged.map(({ message }) => message).join('\n');

  describe('for the core', () => {
    it('keeps all over a restart', async () => {
      const before = coreOn(await stage.open());
      const session = before.createSession(ACCOUNT, { tag: 'meeting', levelling: false });
      const { participant, token } = before.createParticipant(ACCOUNT, {
        publishPermissions: ['audio', 'video'],
        callbackUrl: 'http://127.0.0.1:9/',
      });
      before.addToSession(ACCOUNT, session.id, participant.id, { sessionId: session.id });
      const gone = before.createParticipant(ACCOUNT, {}).participant;
      before.deleteParticipant(ACCOUNT, gone.id);
      await before.flush();
      const after = coreOn(await stage.reopen());
      expect(after.session(ACCOUNT, session.id)).toEqual(session);
      expect(after.authenticate(token)).toEqual(before.participant(ACCOUNT, participant.id));
      expect(after.members(ACCOUNT, session.id)).toHaveLength(1);
      expect(after.counts()).toMatchObject({ sessions: 1, participants: 1 });
    });

    it('keeps what devices need to resume, until they leave for good', async () => {
      const before = coreOn(await stage.open());
      const { id } = before.createParticipant(ACCOUNT, {}).participant;
      const layout = ['audio', 'video', 'audio'] as const;
      before.connect(id, new FakeDevice('d1'), { replace: true }).saveResumePoint({ layout, revision: 7 });
      await before.flush();
      const after = coreOn(await stage.reopen());
      expect(after.resumePoint(id, 'external-d1')).toEqual({ layout, revision: 7 });
      const connection = after.connect(id, new FakeDevice('d1'), { replace: true });
      connection.end('left');
      expect(after.resumePoint(id, 'external-d1')).toBeUndefined();
      await after.flush();
      expect(coreOn(await stage.reopen()).resumePoint(id, 'external-d1')).toBeUndefined();
    });

    it('keeps what sessions say of music and tones; those from before say nothing', async () => {
      const before = coreOn(await stage.open());
      const own = { waitingMusic: { mediaUrl: 'media:a.wav', when: ['alone'] }, joinTones: true } as const;
      const [old, told] = [{}, own].map((options) => before.createSession(ACCOUNT, options).id);
      await before.flush();
      const after = coreOn(await stage.reopen());
      expect(after.session(ACCOUNT, told!)).toMatchObject(own);
      expect(Object.keys(after.session(ACCOUNT, old!)).sort()).toEqual([
        'accountId',
        'createdAt',
        'expiresAt',
        'id',
      ]);
    });

    it('gives participants in the order of their ids, and resume points in the order of their saving', async () => {
      const store = await stage.open();
      const { participant } = coreOn(store).createParticipant(ACCOUNT, {});
      store.core.deleteParticipant(participant.id);
      for (let n = 1_500; n > 0; n -= 1) store.core.saveParticipant({ ...participant, id: idOf(n) });
      const externalIds = ['z', 'a', 'm'];
      for (const externalId of externalIds)
        store.core.saveResumePoint({
          participantId: idOf(1),
          externalId,
          point: { layout: [], revision: 1 },
        });
      store.core.saveResumePoint({
        participantId: idOf(2),
        externalId: 'gone',
        point: { layout: [], revision: 1 },
      });
      store.core.deleteParticipant(idOf(2));
      const { participants, resumePoints } = (await stage.reopen()).core.load();
      expect(participants.map(({ id }) => id)).toEqual(
        Array.from({ length: 1_500 }, (_, n) => idOf(n + 1)).filter((id) => id !== idOf(2)),
      );
      expect(resumePoints.map(({ externalId }) => externalId)).toEqual(externalIds);
    });

    it('takes any text, as long as devices make it, and as often as it is the same once stored', async () => {
      const store = await stage.open();
      const session = coreOn(store).createSession(ACCOUNT, {});
      const texts = ["it's", "'); DROP TABLE sessions; --", 'a "b" \\ \\u0000 \n\t', 'ü€😀', '', '$1 ? $$'];
      for (const [n, tag] of texts.entries()) store.core.saveSession({ ...session, id: idOf(n), tag });
      const odd = ['\ud800', '\u0000', '\ufffd', 'é'.repeat(9_000)];
      for (const externalId of odd)
        store.core.saveResumePoint({
          participantId: 'p',
          externalId,
          point: { layout: [], revision: odd.indexOf(externalId) },
        });
      store.usage.saveRecord(ended(1, { deviceId: odd[3]! }));
      await store.flush();
      const { records } = await store.usage.find(ACCOUNT, { limit: 10, deviceId: odd[3]! }, 0);
      expect(records).toHaveLength(1);
      const { sessions, resumePoints } = (await stage.reopen()).core.load();
      expect(sessions.filter(({ id }) => id !== session.id).map(({ tag }) => tag)).toEqual(texts);
      expect(resumePoints.map(({ externalId, point }) => [externalId, point.revision])).toEqual([
        ['\ufffd', 2],
        [odd[3], 3],
      ]);
    });

    it('does all writes of a commit in their order', async () => {
      const store = await stage.open();
      const session = coreOn(store).createSession(ACCOUNT, {});
      await store.flush();
      store.core.saveSession({ ...session, tag: 'old' });
      store.core.deleteSession(session.id);
      store.core.saveSession({ ...session, id: idOf(1), tag: 'first' });
      store.core.deleteSession(idOf(1));
      store.core.saveSession({ ...session, id: idOf(1), tag: 'second' });
      const { sessions } = (await stage.reopen()).core.load();
      expect(sessions.map(({ id, tag }) => [id, tag])).toEqual([[idOf(1), 'second']]);
    });
  });

  describe('for calls and programs', () => {
    it('gives each edge its own that were left, as they were saved last', async () => {
      const { calls, flush } = await stage.open();
      calls.saveCall('two', '"quotes", \'quotes\' and é', 'edge 1');
      calls.saveCall('one', 'first', 'edge 1');
      calls.saveCall('gone', 'x', 'edge 1');
      calls.saveCall('other', 'of another', 'edge 2');
      await flush();
      calls.saveCall('one', 'second', 'edge 1');
      calls.deleteCall('gone');
      const store = await stage.reopen();
      expect(store.calls.recordsOf('edge 1')).toEqual([
        { id: 'one', document: 'second' },
        { id: 'two', document: '"quotes", \'quotes\' and é' },
      ]);
      expect(store.calls.ownerOf('other')).toBe('edge 2');
      store.calls.saveCall('other', 'taken over', 'edge 1');
      expect(store.calls.recordsOf('edge 2')).toEqual([]);
      const after = (await stage.reopen()).calls;
      expect([after.recordsOf('edge 1').length, after.recordsOf('edge 2').length]).toEqual([3, 0]);
      expect(warnings()).toBe('');
    });

    it('gives those of a version that knew no edges to the first edge that asks', async () => {
      const { calls } = await stage.open();
      calls.saveCall('one', 'document', 'edge 1');
      await stage.close();
      await stage.sql('UPDATE calls SET edge = NULL');
      const store = await stage.open();
      expect(store.calls.ownerOf('one')).toBeUndefined();
      expect(store.calls.recordsOf('edge 2')).toEqual([{ id: 'one', document: 'document' }]);
      expect(store.calls.recordsOf('edge 1')).toEqual([]);
      expect((await stage.reopen()).calls.ownerOf('one')).toBe('edge 2');
    });

    it('loses them with another token secret, says so, and removes their rows', async () => {
      (await stage.open()).calls.saveCall('one', 'document', 'edge');
      const other = await stage.reopen({ tokenSecret: 'another secret, long enough for tokens' });
      expect(other.calls.size).toBe(0);
      expect(warnings()).toContain('cannot be read');
      expect((await stage.reopen()).calls.size).toBe(0);
    });

    it('seals them differently', async () => {
      const { calls, programs } = await stage.open();
      calls.saveCall('one', 'of one', 'edge');
      programs.saveProgram('two', 'wss://secret');
      programs.saveProgram('gone', 'wss://secret');
      programs.deleteProgram('gone');
      await stage.close();
      const columns = engine === 'libsql' ? 'id, sealed' : 'id, sealed, change';
      await stage.sql(`INSERT INTO programs (${columns}) SELECT ${columns} FROM calls`);
      const store = await stage.open();
      expect(store.programs.programs()).toEqual([{ id: 'two', document: 'wss://secret' }]);
      expect(warnings()).toContain('Programs to connect to cannot be read');
    });

    it('sees that they were exchanged for one another or changed', async () => {
      const { calls } = await stage.open();
      calls.saveCall('one', 'of one', 'edge');
      calls.saveCall('two', 'of two', 'edge');
      await stage.close();
      await stage.sql("UPDATE calls SET sealed = (SELECT sealed FROM calls WHERE id = 'two')");
      expect((await stage.open()).calls.recordsOf('edge')).toEqual([{ id: 'two', document: 'of two' }]);
      await stage.close();
      await stage.sql("UPDATE calls SET sealed = 'damaged'");
      expect((await stage.open()).calls.size).toBe(0);
    });
  });

  describe('for edges', () => {
    it('gives those that are known, as they were saved last, once', async () => {
      const { edges } = await stage.open();
      edges.saveEdge('one', { process: 'first', counted: 7, closing: {} });
      edges.saveEdge('gone', { process: 'p', counted: 1, closing: {} });
      await edges.flush();
      const record = { process: 'second "quoted"', counted: 1, closing: { device: 'left' } };
      edges.saveEdge('one', record);
      edges.deleteEdge('gone');
      const after = (await stage.reopen()).edges;
      expect(after.edges()).toEqual([{ id: 'one', record }]);
      expect(after.edges()).toEqual([]);
    });

    it('keeps them in the commit of what was counted of them, or not at all', async () => {
      const store = await stage.open();
      const core = coreOn(store);
      await store.flush();
      // A participant that the database does not take keeps the edge out, too.
      await stage.sql(refusingParticipants);
      const { participant } = core.createParticipant(ACCOUNT, {});
      store.edges.saveEdge('one', { process: 'p', counted: 1, closing: {} });
      await expect(store.flush()).rejects.toMatchObject({ code: 'PATCHBAY_STORE_FAILED' });
      expect(await stage.count('edges')).toBe(0);
      await stage.sql(takingParticipants);
      await vi.waitFor(() => store.flush(), { timeout: 20_000 });
      expect([await stage.count('edges'), await stage.count('participants')]).toEqual([1, 1]);
      expect(coreOn(await stage.reopen()).participantOf(participant.id)).toBeDefined();
    });
  });

  describe('for webhooks', () => {
    it('gives those that were not delivered, the oldest first', async () => {
      const { usage } = await stage.open();
      for (const n of [3, 1, 2]) usage.saveWebhook(webhook(n));
      usage.deleteWebhook(idOf(2));
      const found = (await stage.reopen()).usage.webhooks();
      expect(found.map(({ id }) => id)).toEqual([idOf(1), idOf(3)]);
      expect(found[0]).toMatchObject({ text: 'it\'s \\u0000 "quoted" 😀\ufffd' });
    });
  });

  describe('for usage', () => {
    it('keeps every property of a record, and what a crash needs only while it is open', async () => {
      const { usage } = await stage.open();
      const formats = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' } as const;
      const whole = record(1, {
        sessionId: 's',
        sessionTag: 'tag',
        participantTag: 'other',
        caller: '+4930',
        callerName: 'Émile',
        called: '+1',
        received: formats,
        sent: formats,
        quality: { received: { packets: 50, lost: 1, mos: 4.2 }, sent: { packets: 49 } },
        test: true,
        callbackUrl: 'http://127.0.0.1:9/',
      });
      usage.saveRecord(whole);
      usage.saveRecord(ended(2));
      const store = await stage.reopen();
      expect(store.usage.openRecords()).toEqual([whole]);
      store.usage.saveRecord({ ...whole, endedAt: 2_000, endReason: 'left' });
      const { seenAt, callbackUrl, ...written } = whole;
      expect([seenAt, callbackUrl]).toEqual([1_000, 'http://127.0.0.1:9/']);
      const { records } = await store.usage.find(ACCOUNT, { limit: 1 }, 9_000);
      expect(records[0]).toEqual({ ...written, endedAt: 2_000, endReason: 'left' });
      expect((await stage.reopen()).usage.openRecords()).toEqual([]);
    });

    it('has seen open records at the last heartbeat, and those since then later', async () => {
      const { usage, flush } = await stage.open();
      usage.saveRecord(record(1));
      usage.saveRecord(ended(2));
      await flush();
      usage.heartbeat(60_000);
      await flush();
      usage.heartbeat(50_000);
      usage.saveRecord(record(70));
      const store = await stage.reopen();
      expect(store.usage.openRecords().map(({ id, seenAt }) => [id, seenAt])).toEqual([
        [idOf(1), 60_000],
        [idOf(70), 70_000],
      ]);
    });

    it('finds records by what is asked, page by page, with totals', async () => {
      const { usage } = await stage.open();
      for (let n = 1; n <= 30; n += 1) {
        usage.saveRecord(
          ended(n, {
            sessionTag: n % 2 ? 'odd' : 'even',
            participantId: `p${n % 3}`,
            connectionId: `c${n >> 1}`,
          }),
        );
      }
      usage.saveRecord(ended(5, { id: idOf(99), accountId: 'other' }));
      usage.saveRecord(record(31, { sessionTag: 'odd' }));
      const first = await usage.find(ACCOUNT, { limit: 10 }, 40_000);
      expect(first.records.map(({ startedAt }) => startedAt / 1_000)).toEqual(
        Array.from({ length: 11 }, (_, n) => n + 1),
      );
      expect(first.totals).toEqual([
        { tag: 'odd', connections: 16, seconds: 15 * 0.5 + 9 },
        { tag: 'even', connections: 15, seconds: 7.5 },
      ]);
      const next = await usage.find(ACCOUNT, { limit: 2, cursor: idOf(10), totals: false }, 0);
      expect(next).toEqual({
        totals: [],
        records: [11, 12, 13].map((n) => expect.objectContaining({ id: idOf(n) }) as object),
      });
      const filter = { limit: 100, from: 4_000, to: 20_000, tag: 'even', participantId: 'p1' };
      const some = await usage.find(ACCOUNT, filter, 0);
      expect(some.records.map(({ startedAt }) => startedAt)).toEqual([4_000, 10_000, 16_000]);
      expect(some.totals).toEqual([{ tag: 'even', connections: 3, seconds: 1.5 }]);
    });

    it('finds connections, the newest first, by state, caller, session and id', async () => {
      const { usage } = await stage.open();
      usage.saveRecord(ended(1, { connectionId: 'moved', sessionId: 's1', caller: '+49 30 1' }));
      usage.saveRecord(record(5, { connectionId: 'moved', sessionId: 's2' }));
      usage.saveRecord(ended(2, { callerName: "O'Neil", kind: 'browser' }));
      usage.saveRecord(ended(3, { accountId: 'other' }));
      const find = async (query: object): Promise<string[][]> =>
        (await usage.findConnections(ACCOUNT, { limit: 10, ...query })).map((each) =>
          each.map(({ id }) => id),
        );
      const [one, five, two] = [1, 5, 2].map(idOf) as [string, string, string];
      expect(await find({})).toEqual([[two], [one, five]]);
      expect(await find({ state: 'live' })).toEqual([[one, five]]);
      expect(await find({ state: 'ended' })).toEqual([[two]]);
      expect(await find({ caller: '30' })).toEqual([[one, five]]);
      expect(await find({ caller: "O'N" })).toEqual([[two]]);
      expect(await find({ sessionId: 's2' })).toEqual([[one, five]]);
      expect(await find({ id: 'call-2' })).toEqual([[two]]);
      expect(await find({ kind: 'browser' })).toEqual([[two]]);
      expect(await find({ before: { at: 2_000, connectionId: 'c2' } })).toEqual([[one, five]]);
      expect(await find({ id: 'nowhere' })).toEqual([]);
    });

    it('deletes what ended long ago, in slices', async () => {
      const { usage, flush } = await stage.open();
      for (let n = 1; n <= 1_200; n += 1) usage.saveRecord(ended(n));
      usage.saveRecord(record(3));
      await flush();
      const count = async () => (await usage.find(ACCOUNT, { limit: 2_000 }, 0)).records.length;
      usage.deleteRecordsBefore(1_100_000);
      expect(await count()).toBe(700);
      usage.deleteRecordsBefore(1_100_000);
      usage.deleteRecordsBefore(1_100_000);
      expect(await count()).toBe(200);
      usage.deleteRecordsBefore(1_100_000);
      expect(await count()).toBe(102);
    });
  });
});
