import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { destination, pino } from 'pino';
import { Registry } from 'prom-client';
import { createApi } from '../src/api/index.js';
import { createCore } from '../src/core/index.js';
import { openStore } from '../src/store/index.js';

/** Answers as the API would, and does nothing else: what the framework can do at best. */
function bareServer(): FastifyInstance {
  const server = fastify();
  const path = '/v1/accounts/:accountId';
  const participant = {
    publishPermissions: ['AUDIO'],
    deviceApiVersion: 'V3',
    tag: 'bench',
    sessions: [],
    subscriptions: {},
    createdAt: new Date().toISOString(),
    expiresAt: new Date().toISOString(),
  };
  const token = 'x'.repeat(177);
  server.post(`${path}/sessions`, () => ({ id: randomUUID(), tag: 'bench' }));
  server.post(`${path}/participants`, () => ({ participant: { id: randomUUID(), ...participant }, token }));
  server.put(`${path}/sessions/:sessionId/participants/:participantId`, (_request, reply) =>
    reply.code(204).send(),
  );
  return server;
}

/** The REST API as the gateway runs it: with its log, its store on a disk, and its limits. */
async function patchbayServer(dataDir: string): Promise<FastifyInstance> {
  const log = pino({ level: 'info' }, destination({ dest: '/dev/null', sync: true }));
  const store = await openStore({ dataDir, log });
  const core = createCore({
    tokenSecret: store.tokenSecret,
    store: store.core,
    log,
    limits: { participantsPerAccount: 10_000_000, sessionsPerAccount: 1_000_000 },
  });
  const server = createApi({
    core,
    usage: { query: () => Promise.reject(new Error('This bench asks for no usage.')) },
    accounts: [{ id: '9900000', user: 'bench', password: 'bench' }],
    log,
    metrics: new Registry(),
    readiness: () => 'ready',
    rateLimit: { requests: 1_000_000 },
  });
  server.addHook('onClose', async () => {
    await core.stop();
    await store.close();
  });
  return server;
}

const dataDir = await mkdtemp(join(tmpdir(), 'patchbay-bench-'));
const server = process.argv[2] === 'bare' ? bareServer() : await patchbayServer(dataDir);
await server.listen({ host: '127.0.0.1', port: 0 });
process.send?.((server.server.address() as AddressInfo).port);
process.on('message', () => process.send?.(process.cpuUsage()));
process.once('disconnect', () => {
  void server.close().then(() => rm(dataDir, { recursive: true }));
});
