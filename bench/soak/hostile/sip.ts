import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connectionsAt } from '../process-state.js';
import { type Attack, address, pause, type Target } from './attack.js';

const ADDRESSES = Array.from({ length: 16 }, (_, i) => address(10 + i));
const CONNECTIONS_EACH = 256;
/** Longer than the 10 s after which a silent connection is closed, since the process is busy and may be late. */
const SILENCE_MS = 30_000;

function invite(from: string, headers: readonly string[], uri = 'sip:gateway@127.0.0.1'): string {
  const call = Math.random().toString(36).slice(2);
  return [
    `INVITE ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${address(1)}:5060;branch=z9hG4bK${call};rport`,
    'Max-Forwards: 70',
    `From: ${from};tag=${call}`,
    'To: <sip:gateway@127.0.0.1>',
    `Call-ID: ${call}`,
    'CSeq: 1 INVITE',
    `Contact: <sip:stranger@${address(1)}>`,
    ...headers,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

const STRANGER = '<sip:stranger@127.0.0.1>';

/** Datagrams that cost a backtracking parser more than the sender. */
const DATAGRAMS: readonly string[] = [
  `A${' '.repeat(5600)}\r\n\r\n`,
  `INVITE ${' '.repeat(1390)}x SIP/2.\r\n\r\n`,
  invite(STRANGER, [`Content-Type: multipart/${';boundary='.repeat(400)}`]),
  invite(`"${' '.repeat(8000)}<sip:a@b>`, []),
  invite(STRANGER, [`User-to-User: ${'a'.repeat(4000)};encoding${' '.repeat(2000)}`]),
  invite(STRANGER, [`Via: ${'SIP/2.0/UDP a;b, '.repeat(400)}`]),
];

async function sendOverUdp({ gateway }: Target): Promise<undefined> {
  const socket = createSocket('udp4');
  socket.bind(0, address(1));
  await once(socket, 'listening');
  for (const text of DATAGRAMS) socket.send(text, gateway.sipPort, '127.0.0.1');
  await pause(100);
  socket.close();
  return undefined;
}

async function sendOverTcp({ gateway }: Target): Promise<undefined> {
  const socket = connect({ port: gateway.sipPort, host: '127.0.0.1', localAddress: address(2) });
  socket.on('error', () => undefined);
  for (const text of DATAGRAMS) socket.write(text);
  socket.write(invite(`${' '.repeat(31_000)}<sip:a@b>`, []));
  await pause(500);
  socket.destroy();
  return undefined;
}

async function holdConnections({ gateway }: Target): Promise<string | undefined> {
  const sockets: Socket[] = [];
  for (let i = 0; i < ADDRESSES.length * CONNECTIONS_EACH; i += 1) {
    const localAddress = ADDRESSES[i % ADDRESSES.length]!;
    const socket = connect({ port: gateway.sipPort, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    // Read, so that Node notices the close.
    socket.resume();
    sockets.push(socket);
    if (i % 64 === 0) await pause(5);
  }
  const since = new Map<string, number>();
  let held: string[] = [];
  let old: string[] = [];
  do {
    await pause(500);
    const now = performance.now();
    held = connectionsAt(gateway.sipPort).filter((peer) => ADDRESSES.includes(peer.split(':')[0]!));
    for (const peer of held) if (!since.has(peer)) since.set(peer, now);
    old = held.filter((peer) => now - since.get(peer)! > SILENCE_MS);
    // The gateway has not seen those that are still connecting: the system's accept queue was full.
  } while (old.length === 0 && (held.length > 0 || sockets.some(({ connecting }) => connecting)));
  const open = sockets.filter(({ closed }) => !closed);
  await Promise.all(open.map((socket) => once(socket.destroy(), 'close')));
  if (since.size === 0) return 'none of the silent SIP connections was ever there';
  return old.length > 0 ? `${old.length} silent SIP connections lived for ${SILENCE_MS / 1000} s` : undefined;
}

async function sendEncodedToken({ gateway, rest }: Target): Promise<string | undefined> {
  const { token } = await rest.participant();
  const signature = token.split('.')[2]!;
  const encoded = Buffer.from(token).toString('hex').replace(/../g, '%$&');
  const socket = createSocket('udp4');
  socket.send(invite(STRANGER, [], `sip:${encoded}@127.0.0.1`), gateway.sipPort, '127.0.0.1');
  await pause(500);
  socket.close();
  const text = JSON.stringify(gateway.log.slice(-200));
  const shown = [signature, encoded].some((secret) => text.includes(secret));
  return shown ? 'the log shows a percent-encoded token' : undefined;
}

/** Attacks at the SIP port, without a token. */
export const SIP_ATTACKS: readonly Attack[] = [
  { name: 'costly datagrams', everyMs: 300, turn: sendOverUdp },
  { name: 'costly messages over TCP', everyMs: 500, turn: sendOverTcp },
  { name: 'silent TCP connections', everyMs: 1000, turn: holdConnections },
  { name: 'percent-encoded tokens', everyMs: 5000, turn: sendEncodedToken },
];
