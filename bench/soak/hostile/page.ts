import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { type Attack, address, pause, type Target } from './attack.js';

/** Refused requests are destroyed within a second, sockets with a refused token 5 s after the refusal. */
const REFUSAL_MS = 8000;
const RESET_MS = 500;
/** The first write causes a reset, which the second write notices. */
const KNOCKS = 2;
const FLOOD = 1100;
const REFUSED_AT_ONCE = 200;

function socketUrl({ gateway }: Target, token: string): string {
  const query = new URLSearchParams({
    token,
    client: 'browser',
    sdkVersion: '0.12.0-beta.1',
    uniqueId: Math.random().toString(36).slice(2),
  });
  return `${gateway.wsUrl}/v3/?${query.toString()}`;
}

/** An offer of the largest size, whose payload types and feedback lines multiply when parsed. */
function largeOffer(bytes: number): string {
  const head = `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF${' 96'.repeat(bytes / 8)}\r\n`;
  const line = 'a=rtcp-fb:* nack pli\r\n';
  return head + line.repeat((bytes - head.length) / line.length);
}

async function offerTooMuch(target: Target): Promise<undefined> {
  const { token, id } = await target.rest.participant();
  const socket = new WebSocket(socketUrl(target, token));
  socket.on('error', () => undefined);
  socket.on('open', () => {
    for (const bytes of [100_000, 500_000, 1_000_000]) {
      const params = { sdpOffer: largeOffer(bytes), mediaMetadata: {} };
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: bytes, method: 'offerSdp', params }));
    }
  });
  await pause(1000);
  socket.terminate();
  await target.rest.deleteParticipant(id);
  return undefined;
}

/** Upgrades that are refused, by a client that never closes its side. Each claims another source address. */
async function holdRefused({ gateway }: Target): Promise<string | undefined> {
  const sockets = Array.from({ length: REFUSED_AT_ONCE }, (_, i) => {
    const socket = connect({
      port: gateway.httpPort,
      host: '127.0.0.1',
      localAddress: address(30),
      allowHalfOpen: true,
    });
    socket.on('error', () => undefined);
    socket.write(
      [
        `GET /${i % 2 === 0 ? 'nothing' : 'v3/?token=x&client=browser&sdkVersion=1&uniqueId=x'} HTTP/1.1`,
        `Host: 127.0.0.1`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        `X-Forwarded-For: 198.51.100.${i}`,
        '',
        '',
      ].join('\r\n'),
    );
    return socket;
  });
  // Read everything, so that Node notices the close.
  for (const socket of sockets) socket.resume();
  await pause(REFUSAL_MS);
  // If the gateway has freed the socket, a write causes a reset.
  for (let knock = 0; knock < KNOCKS; knock += 1) {
    for (const socket of sockets) socket.write('x');
    await pause(RESET_MS);
  }
  const held = sockets.filter(({ errored }) => !errored).length;
  for (const socket of sockets) socket.destroy();
  return held > 0 ? `${held} refused upgrades were still open after ${REFUSAL_MS / 1000} s` : undefined;
}

/** Sends more messages than the WebRTC library queues for an unread channel, on both kinds of channel. */
async function floodChannels({ gateway, rest, chrome }: Target): Promise<undefined> {
  const session = await rest.session();
  const { id, token } = await rest.member(session);
  const page = await chrome.openClient({ token, gatewayUrl: gateway.wsUrl });
  await page.publishTone(1000);
  await page.floodChannel({ channel: 'own', messages: FLOOD });
  await page.floodChannel({ channel: 'diagnostics', messages: FLOOD });
  await pause(500);
  await rest.deleteParticipant(id);
  await rest.deleteSession(session);
  await page.close();
  return undefined;
}

/** Attacks of a page with a valid token. */
export const PAGE_ATTACKS: readonly Attack[] = [
  { name: 'offers that multiply', everyMs: 1000, turn: offerTooMuch },
  { name: 'data channels that are flooded', everyMs: 2000, turn: floodChannels },
  { name: 'refused upgrades', everyMs: 1000, turn: holdRefused },
];
