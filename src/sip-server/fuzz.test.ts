import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SipServer } from './index.js';
import { tortureMessages } from '../../test/support/rfc4475.js';
import { mutate, Random } from '../../test/support/sip-fuzz.js';
import { Caller, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

/** `npm run fuzz:sip` sets how long to go on; a failure names the seed to set as SIP_FUZZ_SEED. */
const SECONDS = Number(process.env['SIP_FUZZ_SECONDS'] ?? 0);
const SEED = Number(process.env['SIP_FUZZ_SEED'] ?? Date.now() % 2 ** 32);
const MESSAGES = 3000;
const BATCH = 100;
const LIMIT = 5000;

/** Replies to mutated Vias go to ports of this address, where nobody else's tests listen. */
const SOURCE = '127.0.0.66';

let server: SipServer;
let srf: Srf;
let socket: Socket;
let probe: SipPeer;

beforeEach(async () => {
  server = await testServer({
    limits: {
      ...{ messagesPerSecond: 1e6, messageBurst: 1e6, maxTransactions: LIMIT },
      // Mutated streams often hold half a message, or none.
      ...{ firstMessageMs: 1000, wholeMessageMs: 1000 },
    },
  });
  srf = await connectApp(server, (app) => {
    app.invite((req, res) => {
      app.createUAS(req, res, { localSdp: SDP }).catch(() => undefined);
    });
    for (const method of ['register', 'message', 'subscribe', 'info'])
      app.use(method, (_req, res) => res.send(200));
  });
  probe = await SipPeer.udp(addressOf(server, 'udp'));
  socket = createSocket('udp4');
  socket.bind(0, SOURCE);
  await once(socket, 'listening');
});

afterEach(async () => {
  socket.close();
  probe.close();
  srf.disconnect();
  await server.stop();
});

/** The messages of RFC 4475 and those of an ordinary call. */
function corpus(): Buffer[] {
  const caller = new Caller(probe);
  const call = ['INVITE', 'ACK', 'BYE', 'CANCEL', 'UPDATE', 'PRACK', 'REFER'].map((method, index) =>
    Buffer.from(caller.request(method, index + 1, { branch: 'z9hG4bKfuzz', body: SDP })),
  );
  return [...tortureMessages().map(({ bytes }) => bytes), ...call];
}

async function sendStream(messages: readonly Buffer[]): Promise<void> {
  const stream = connect({ port: addressOf(server, 'tcp').port, host: '127.0.0.1', localAddress: SOURCE });
  stream.on('error', () => undefined);
  stream.resume();
  stream.end(Buffer.concat(messages));
  // The server answers the end of the stream by its own, or has closed what it could not follow.
  await once(stream, 'close');
}

it(
  'survives mutated messages, still answers, and keeps its tables bounded',
  async () => {
    const random = new Random(SEED);
    const messages = corpus();
    const end = Date.now() + SECONDS * 1000;
    for (let sent = 0; sent < MESSAGES || Date.now() < end; sent += BATCH) {
      const batch = Array.from({ length: BATCH }, () => mutate(messages, random));
      for (const bytes of batch) socket.send(bytes, addressOf(server, 'udp').port, '127.0.0.1');
      await sendStream(batch.slice(0, 5));
      const ping = new Caller(probe);
      probe.send(ping.request('OPTIONS', 1));
      const answer = await probe.next((message) => message.header('call-id')[0] === ping.callId);
      const { transactions, apps } = server.counters();
      // Requests of the server's own have a tenth more.
      expect(transactions, `seed ${SEED}`).toBeLessThanOrEqual(LIMIT * 1.1);
      // A long run fills the table faster than its transactions time out.
      expect(answer.status, `seed ${SEED}`).toBe(transactions < LIMIT - BATCH ? 200 : answer.status);
      expect(apps, `seed ${SEED}`).toBe(1);
    }
    expect(server.counters().requestsIn).toBeGreaterThan(300);
  },
  // A stream with a request that gets no response stays half open for 32 s.
  SECONDS * 1000 + 300_000,
);
