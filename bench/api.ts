/**
 * Requests per second and p99 of creating participants and adding them to sessions, against a bare server of
 * the same framework that answers the same and does nothing. Each server has a process of its own; they are
 * measured by turns, over connections that stay open.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createHistogram } from 'node:perf_hooks';
import { Pool } from 'undici';

const CONNECTIONS = 128;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const TURNS = 3;
const MEMBERS = 20;
const ACCOUNT = '/v1/accounts/9900000';
const HEADERS = {
  authorization: `Basic ${Buffer.from('bench:bench').toString('base64')}`,
  'content-type': 'application/json',
};

interface Contestant {
  readonly name: string;
  readonly process: ChildProcess;
  readonly pool: Pool;
  readonly turns: Turn[];
}

interface Turn {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Processor time of the server for each request. */
  readonly costUs: number;
}

async function start(name: string): Promise<Contestant> {
  const child = fork(new URL('api-server.ts', import.meta.url), [name]);
  const [port] = (await once(child, 'message')) as [number];
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS });
  return { name, process: child, pool, turns: [] };
}

async function processorTimeUs({ process: child }: Contestant): Promise<number> {
  child.send('processor time');
  const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return user + system;
}

/** Sessions, one after the other, each filled with participants, until the time is over. */
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
  const before = await processorTimeUs(contestant);
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(Array.from({ length: CONNECTIONS }, () => fillSessions(request, until)));
  const tookMs = performance.now() - started;
  return {
    perSecond: (latency.count / tookMs) * 1000,
    p99Ms: latency.percentile(99) / 1000,
    costUs: ((await processorTimeUs(contestant)) - before) / latency.count,
  };
}

function median({ turns }: Contestant, figure: keyof Turn): number {
  return turns.map((turn) => turn[figure]).toSorted((a, b) => a - b)[turns.length >> 1]!;
}

const bare = await start('bare');
const patchbay = await start('patchbay');
for (const contestant of [bare, patchbay]) await measure(contestant, Math.min(2, SECONDS));
for (let turn = 0; turn < TURNS; turn++) {
  for (const contestant of [bare, patchbay]) contestant.turns.push(await measure(contestant, SECONDS));
}
for (const contestant of [bare, patchbay]) {
  const perSecond = median(contestant, 'perSecond').toFixed(0).padStart(7);
  const p99 = median(contestant, 'p99Ms').toFixed(0).padStart(4);
  const cost = median(contestant, 'costUs').toFixed(0).padStart(4);
  console.log(
    `${contestant.name.padEnd(8)} ${perSecond} requests/s, p99 ${p99} ms, ${cost} µs of processor each`,
  );
}
const ratio = (figure: keyof Turn) => median(patchbay, figure) / median(bare, figure);
console.log(`ratio    ${ratio('perSecond').toFixed(2)} of the bare server's requests/s`);
for (const contestant of [bare, patchbay]) {
  await contestant.pool.close();
  contestant.process.disconnect();
  await once(contestant.process, 'exit');
}
