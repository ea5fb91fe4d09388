/**
 * Commits and REST changes a second with the database in the data folder and with PostgreSQL on the same machine, in turns
 * in the same run, and how long a standby takes to take 20,000 participants over.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCore } from '../src/core/index.js';
import { silentLog } from '../src/shared/testing/index.js';
import { Follower, openStore, postgresTarget, type Store } from '../src/store/index.js';
import { startGateway } from '../test/support/gateway.js';
import { PostgresServer } from '../test/support/postgres.js';
import { Rest } from '../test/support/rest.js';
import { median } from './median.js';
import { rate } from './rate.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const ROUND_MS = 4_000;
const CALLERS = 32;
const PARTICIPANTS = 20_000;
const ACCOUNT = '9900000';

type Engine = 'libsql' | 'PostgreSQL';
const ENGINES: readonly Engine[] = ['libsql', 'PostgreSQL'];

const server = await PostgresServer.start({ durable: true });
const folders: string[] = [];

async function open(postgres: string | undefined, follower?: Follower): Promise<Store> {
  const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-bench-store-'));
  folders.push(dataDir);
  return openStore({
    dataDir,
    postgres: postgres === undefined ? undefined : postgresTarget(postgres),
    log: silentLog,
    ...(follower && { follower }),
  });
}

const coreOn = (store: Store) =>
  createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });

async function commits(engine: Engine, callers: number): Promise<number> {
  const store = await open(engine === 'libsql' ? undefined : await server.database());
  const core = coreOn(store);
  const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
  let n = 0;
  const result = await rate(callers, ROUND_MS, async () => {
    store.core.saveParticipant({ ...participant, id: `${participant.id}-${(n += 1) % 10_000}` });
    await store.flush();
    return 1;
  });
  await store.close();
  return result;
}

async function requests(engine: Engine): Promise<number> {
  const env = { PATCHBAY_API_RATE: '0', PATCHBAY_LOG_LEVEL: 'info' };
  const url = engine === 'libsql' ? {} : { PATCHBAY_STORE: await server.database() };
  const gateway = await startGateway({ env: { ...env, ...url }, keepLog: false });
  const rest = new Rest(gateway);
  const result = await rate(CALLERS, ROUND_MS, async () => {
    await rest.participant();
    return 1;
  });
  await gateway.stop();
  return result;
}

async function compare(what: string, measure: (engine: Engine) => Promise<number>): Promise<void> {
  const seen: Record<Engine, number[]> = { libsql: [], PostgreSQL: [] };
  for (let round = 0; round < ROUNDS; round += 1)
    for (const engine of ENGINES) seen[engine].push(await measure(engine));
  const [libsql, postgres] = ENGINES.map((engine) => median(seen[engine])) as [number, number];
  console.log(
    `${what}: ${libsql.toFixed(0)} a second with libsql, ${postgres.toFixed(0)} with PostgreSQL, ${(postgres / libsql).toFixed(2)} times as many`,
  );
}

async function takeOver(): Promise<void> {
  const url = await server.database();
  const leader = await open(url);
  const { participant } = coreOn(leader).createParticipant(ACCOUNT, { tag: 'x'.repeat(50) });
  for (let n = 1; n < PARTICIPANTS; n += 1)
    leader.core.saveParticipant({ ...participant, id: `${participant.id}-${n}` });
  await leader.flush();
  const started = performance.now();
  await (await open(url)).close();
  const readMs = performance.now() - started;
  const follower = await Follower.start({ target: postgresTarget(url), log: silentLog });
  const startedAt = performance.now();
  const next = await open(url, follower);
  const tookMs = performance.now() - startedAt;
  if (next.core.load().participants.length !== PARTICIPANTS) throw new Error('The state is not whole.');
  console.log(
    `${PARTICIPANTS} participants: a start that reads them takes ${readMs.toFixed(0)} ms, a take-over by a standby ${tookMs.toFixed(0)} ms`,
  );
  await next.close();
  await leader.close();
}

try {
  await compare('Commits, one after the other', (engine) => commits(engine, 1));
  await compare(`Changes of ${CALLERS} callers, which share commits`, (engine) => commits(engine, CALLERS));
  await compare(`REST changes of ${CALLERS} callers`, requests);
  await takeOver();
} finally {
  await server.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
