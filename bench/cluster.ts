/**
 * What leading other gateways costs: REST changes a second with 1, 2 and 4 gateways, asked at the leader and at another
 * one; events of devices a second, and how long a device waits to be admitted, with an edge in the leader's process and
 * with 1 to 50 edges by WebSocket. The edges are in the leader's process: their work is counted too.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectLocally, Desk, Edge, EdgeDoor, LeaderLine } from '../src/cluster/index.js';
import { createCore } from '../src/core/index.js';
import { FakeDevice } from '../src/core/testing/index.js';
import { systemClock } from '../src/shared/index.js';
import { silentLog } from '../src/shared/testing/index.js';
import { openStore, postgresTarget } from '../src/store/index.js';
import { startGateway, type TestGateway } from '../test/support/gateway.js';
import { PostgresServer } from '../test/support/postgres.js';
import { Rest } from '../test/support/rest.js';
import { median } from './median.js';
import { rate } from './rate.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const ROUND_MS = 4_000;
const CALLERS = 32;
const ACCOUNT = '9900000';
const EDGES = [1, 2, 4, 50];
/** Devices in all, evenly at all edges. */
const DEVICES = 100;
/** Events of a device that the leader has not acknowledged. */
const WINDOW = 10;
const CONNECTS = 50;
const SECRET = 'of this bench';

const server = await PostgresServer.start({ durable: true });
const folders: string[] = [];

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'patchbay-bench-cluster-'));
  folders.push(made);
  return made;
}

const changes = async (gateway: TestGateway): Promise<number> => {
  const rest = new Rest(gateway);
  return rate(CALLERS, ROUND_MS, async () => {
    await rest.participant();
    return 1;
  });
};

/** REST changes a second at the leader, and at another gateway if there is one. */
async function restWith(gateways: number): Promise<{ readonly leader: number; readonly other?: number }> {
  const env = {
    PATCHBAY_STORE: await server.database(),
    PATCHBAY_API_RATE: '0',
    PATCHBAY_LOG_LEVEL: 'info',
  };
  const running: TestGateway[] = [];
  try {
    for (let n = 0; n < gateways; n += 1)
      running.push(await startGateway({ env, dataDir: folder(), keepLog: false }));
    const [leader, other] = running;
    const atLeader = await changes(leader!);
    return { leader: atLeader, ...(other && { other: await changes(other) }) };
  } finally {
    for (const gateway of running.reverse()) await gateway.stop();
  }
}

/** A leader on a database of its own, and edges that are connected with it: locally, or each by a WebSocket. */
async function cluster(edges: number, isLocal: boolean) {
  const store = await openStore({
    dataDir: folder(),
    postgres: postgresTarget(await server.database()),
    log: silentLog,
  });
  const core = createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });
  const desk = new Desk({
    core,
    epoch: 1,
    store: store.edges,
    calls: store.calls,
    clock: systemClock,
    log: silentLog,
  });
  const door = new EdgeDoor({ secret: SECRET, log: silentLog });
  door.lead(desk);
  const http = createServer().on('upgrade', (request, socket, head) => door.upgrade(request, socket, head));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = `127.0.0.1:${String((http.address() as AddressInfo).port)}`;
  const lines: LeaderLine[] = [];
  const all = Array.from({ length: edges }, (_, n) => {
    const edge = new Edge({
      edgeId: `edge-${n}`,
      process: 'bench',
      recognizes: () => true,
      clock: systemClock,
      log: silentLog,
    });
    if (isLocal) connectLocally(edge, desk);
    else {
      const findLeader = () => Promise.resolve({ epoch: 1, address });
      const line = new LeaderLine({ edge, secret: SECRET, findLeader, log: silentLog });
      line.start();
      lines.push(line);
    }
    return edge;
  });
  await Promise.all(all.map((edge) => edge.whenSettled()));
  let devices = 0;
  const connect = async (edge: Edge) => {
    const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
    devices += 1;
    const connection = edge.connect(participant, new FakeDevice(`device-${devices}`, 'phone'), {
      replace: true,
    });
    await connection.admitted;
    return connection;
  };
  return {
    edges: all,
    connect,
    async stop() {
      for (const line of lines) line.stop();
      desk.stop();
      door.stop();
      http.close();
      await core.stop();
      await store.close();
    },
  };
}

/** Digits a second that the leader counts, on disk, and how long a device waits to be admitted. */
async function events(edges: number, isLocal: boolean) {
  const { edges: all, connect, stop } = await cluster(edges, isLocal);
  try {
    const waits: number[] = [];
    for (let n = 0; n < CONNECTS; n += 1) {
      const startedAt = performance.now();
      await connect(all[n % all.length]!);
      waits.push(performance.now() - startedAt);
    }
    const connections = await Promise.all(
      Array.from({ length: DEVICES }, async (_, n) => {
        const edge = all[n % all.length]!;
        return { edge, connection: await connect(edge) };
      }),
    );
    const perSecond = await rate(DEVICES, ROUND_MS, async (n) => {
      const { edge, connection } = connections[n]!;
      for (let k = 0; k < WINDOW; k += 1) connection.dtmf('5', 100);
      await edge.whenAcknowledged();
      return WINDOW;
    });
    return { perSecond, waitMs: median(waits) };
  } finally {
    await stop();
  }
}

try {
  for (const gateways of [1, 2, 4]) {
    const seen = [];
    for (let round = 0; round < ROUNDS; round += 1) seen.push(await restWith(gateways));
    const leader = median(seen.map((one) => one.leader));
    const other = median(seen.map((one) => one.other ?? 0));
    const passed =
      gateways > 1 ? `, ${other.toFixed(0)} at another one (${(other / leader).toFixed(2)} times)` : '';
    console.log(
      `REST changes of ${CALLERS} callers, ${gateways} gateways: ${leader.toFixed(0)} a second at the leader${passed}`,
    );
  }
  const cases = [{ edges: 1, isLocal: true }, ...EDGES.map((edges) => ({ edges, isLocal: false }))];
  const seen = new Map(cases.map((one) => [one, [] as Awaited<ReturnType<typeof events>>[]]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const one of cases) seen.get(one)!.push(await events(one.edges, one.isLocal));
  const [control] = seen.values();
  const base = median(control!.map(({ perSecond }) => perSecond));
  for (const [{ edges, isLocal }, results] of seen) {
    const perSecond = median(results.map((one) => one.perSecond));
    const waitMs = median(results.map((one) => one.waitMs));
    console.log(
      `${isLocal ? 'an edge in the process' : `${edges} edges by WebSocket`}: ${perSecond.toFixed(0)} events a second` +
        ` (${(perSecond / base).toFixed(2)} times), a device is admitted after ${waitMs.toFixed(2)} ms`,
    );
  }
} finally {
  await server.stop();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
}
