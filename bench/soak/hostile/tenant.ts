import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { WebSocket } from 'ws';
import { type Attack, pause, type Target } from './attack.js';

/** Nearly the size limit of a request's body. */
const FAT_BYTES = 60_000;
const FAT_TURN = 50;

function fatSubscriptions(sessionId: string): object {
  const streamAliases = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(100, 'x'));
  const each = JSON.stringify({ participantId: 'x'.repeat(36), streamAliases }).length;
  const participants = Array.from({ length: Math.floor(FAT_BYTES / each) }, (_, i) => ({
    participantId: `${i}`.padEnd(36, 'x'),
    streamAliases,
  }));
  return { sessionId, participants };
}

const refused = (error: unknown): undefined => {
  if (/: (4\d\d|503) /.test(String(error))) return undefined;
  throw error;
};

async function fillMemory({ gluttonRest: rest }: Target): Promise<undefined> {
  const sessionId = await rest.session().catch(refused);
  if (sessionId === undefined) return undefined;
  for (let i = 0; i < FAT_TURN; i += 1) {
    const participant = await rest.participant().catch(refused);
    if (!participant) return undefined;
    await rest.join(sessionId, participant.id, fatSubscriptions(sessionId)).catch(refused);
  }
  return undefined;
}

async function list({ gluttonRest: rest }: Target): Promise<undefined> {
  const paths = ['/participants?limit=1000', '/sessions?limit=1000', '/participants?limit=1000'];
  await Promise.all(paths.map((path) => rest.request('GET', path).catch(refused)));
  return undefined;
}

async function report({ rest }: Target): Promise<undefined> {
  await Promise.all(Array.from({ length: 6 }, () => rest.request('GET', '/usage').catch(refused)));
  return undefined;
}

/** Participants whose webhooks go to a server that accepts connections and never answers. */
async function neverAnswer({ rest, gateway }: Target): Promise<undefined> {
  const server = createServer((socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const created: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      const callbackUrl = `http://127.0.0.1:${port}/${i}`;
      const participant = await rest.participant({ callbackUrl }).catch(refused);
      if (!participant) break;
      created.push(participant.id);
      const query = new URLSearchParams({
        token: participant.token,
        client: 'browser',
        sdkVersion: '0.12.0-beta.1',
        uniqueId: participant.id,
      });
      const socket = new WebSocket(`${gateway.wsUrl}/v3/?${query.toString()}`);
      const call = { jsonrpc: '2.0', id: 1, method: 'setMediaPreferences', params: { protocol: 'WEBRTC' } };
      socket.on('open', () => socket.send(JSON.stringify(call)));
      socket.on('error', () => undefined);
    }
    await pause(3000);
    for (const id of created) await rest.deleteParticipant(id).catch(refused);
  } finally {
    server.close();
  }
  return undefined;
}

/** Attacks with the credentials of an account, against other accounts. */
export const TENANT_ATTACKS: readonly Attack[] = [
  { name: 'memory by REST', everyMs: 500, turn: fillMemory },
  { name: 'long lists', everyMs: 1000, turn: list },
  { name: 'usage reports', everyMs: 1000, turn: report },
  { name: 'webhooks without an answer', everyMs: 2000, turn: neverAnswer },
];
