import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';

/** A server that answers as the API does, but does nothing else: the best that the framework can do. */
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
await server.listen({ host: '127.0.0.1', port: 0 });
process.send?.((server.server.address() as AddressInfo).port);
process.once('disconnect', () => void server.close());
