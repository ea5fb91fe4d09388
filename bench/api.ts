/**
 * A guard: at least 5,000 creations and joins per second, on disk before each answer, at a gateway as users run it.
 * In turns with it runs a bare server of the same framework that gives the same answers and does nothing, to tell a slow
 * machine from a slow gateway. Connections stay open.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createHistogram } from 'node:perf_hooks';
import { Pool } from 'undici';
import { startGateway } from '../test/support/gateway.js';
import { processorSeconds } from './process-time.js';

/** Requests per second below which the run fails. */
const LEAST = 5_000;
const CONNECTIONS = 128;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1);
/** Many short turns, since the speed of a shared machine varies. */
const TURNS = 12;
const MEMBERS = 20;
const ACCOUNT = '/v1/accounts/9900000';
const HEADERS = {
  authorization: `Basic ${Buffer.from('bench:bench').toString('base64')}`,
  'content-type': 'application/json',
};

interface Contestant {
  readonly name: string;
  readonly pid: number;
  readonly pool: Pool;
  readonly turns: Turn[];
  stop(): Promise<unknown>;
}

interface Turn {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** The server's processor time for each request. */
  readonly costUs: number;
}

const poolOf = (url: string): Pool => new Pool(url, { connections: CONNECTIONS });

async function startBare(): Promise<Contestant> {
  const child = fork(new URL('api-bare.ts', import.meta.url));
  const [port] = (await once(child, 'message')) as [number];
  const stop = (): Promise<unknown> => {
    child.disconnect();
    return once(child, 'exit');
  };
  return { name: 'bare', pid: child.pid!, pool: poolOf(`http://127.0.0.1:${port}`), turns: [], stop };
}

async function startPatchbay(): Promise<Contestant> {
  const env = {
    PATCHBAY_ACCOUNTS: '9900000:bench:bench',
    PATCHBAY_API_RATE: '1000000',
    PATCHBAY_LOG_LEVEL: 'info',
  };
  const gateway = await startGateway({ env, keepLog: false });
  const stop = (): Promise<unknown> => gateway.stop();
  return { name: 'patchbay', pid: gateway.pid, pool: poolOf(gateway.httpUrl), turns: [], stop };
}

/** Creates sessions one after the other and fills each with participants, until the time is over. */
async function fillSessions(request: Requester, until: number): Promise<void> {
  while (performance.now() < until) {
    const session = JSON.parse(await request('POST', '/sessions', '{"tag":"bench"}')) as { id: string };
    const subscriptions = JSON.stringify({ sessionId: session.id });
    for (let member = 0; member < MEMBERS && performance.now() < until; member++) {
      const wanted = '{"tag":"bench","publishPermissions":["AUDIO"],"deviceApiVersion":"V3"}';
      const created = JSON.parse(await request('POST', '/participants', wanted)) as {
        participant: { id: string };
      };
      await request('PUT', `/sessions/${session.id}/participants/${created.participant.id}`, subscriptions);
    }
  }
}

type Requester = (method: 'POST' | 'PUT', path: string, body: string) => Promise<string>;

async function measure(contestant: Contestant, seconds: number): Promise<Turn> {
  const latency = createHistogram();
  const request: Requester = async (method, path, body) => {
    const asked = performance.now();
    const answer = await contestant.pool.request({ method, path: ACCOUNT + path, body, headers: HEADERS });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    latency.record(Math.max(1, Math.round((performance.now() - asked) * 1000)));
    return text;
  };
  const before = processorSeconds(contestant.pid);
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(Array.from({ length: CONNECTIONS }, () => fillSessions(request, until)));
  const tookMs = performance.now() - started;
  return {
    perSecond: (latency.count / tookMs) * 1000,
    p99Ms: latency.percentile(99) / 1000,
    costUs: ((processorSeconds(contestant.pid) - before) / latency.count) * 1e6,
  };
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1]!;
}

const medianOf = ({ turns }: Contestant, figure: keyof Turn): number =>
  median(turns.map((turn) => turn[figure]));

const bare = await startBare();
const patchbay = await startPatchbay();
for (const contestant of [bare, patchbay]) await measure(contestant, 2);
for (let turn = 0; turn < TURNS; turn++) {
  for (const contestant of [bare, patchbay]) contestant.turns.push(await measure(contestant, SECONDS));
}
for (const contestant of [bare, patchbay]) {
  const perSecond = medianOf(contestant, 'perSecond').toFixed(0).padStart(7);
  const p99 = medianOf(contestant, 'p99Ms').toFixed(0).padStart(4);
  const cost = medianOf(contestant, 'costUs').toFixed(0).padStart(4);
  console.log(
    `${contestant.name.padEnd(8)} ${perSecond} requests/s, p99 ${p99} ms, ${cost} µs of processor each`,
  );
}
const ratio = median(patchbay.turns.map((turn, index) => turn.perSecond / bare.turns[index]!.perSecond));
console.log(`ratio    ${ratio.toFixed(2)} of the bare server's requests/s`);
for (const contestant of [bare, patchbay]) {
  await contestant.pool.close();
  await contestant.stop();
}
const perSecond = medianOf(patchbay, 'perSecond');
if (perSecond < LEAST) {
  console.error(`${perSecond.toFixed(0)} requests/s are fewer than ${LEAST}`);
  process.exitCode = 1;
}
