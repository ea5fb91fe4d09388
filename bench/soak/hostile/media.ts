import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Caller, SipPeer } from '../../../test/support/sip-peer.js';
import { type Attack, address, pause, type Target } from './attack.js';

/** The first ports that the gateway gives to phones; all who talk in a run are among them. */
const RTP_PORTS = { first: 20_000, last: 20_400 };
const RECEIVER = address(5);
/** Sending to an address that never answers stops after 10 s. */
const WATCHED_MS = 15_000;
const LAST_MS = 2000;

async function bound(host: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket;
}

function rtp(sequence: number): Buffer {
  const packet = Buffer.alloc(172, 0xff);
  packet.writeUInt16BE(0x8000, 0);
  packet.writeUInt16BE(sequence, 2);
  packet.writeUInt32BE(sequence * 160, 4);
  packet.writeUInt32BE(0x5eed_5eed, 8);
  return packet;
}

/** Four packets in order to each port that may be a phone's; whoever is believed gets that phone's sound. */
async function takeOver(): Promise<string | undefined> {
  const socket = await bound(address(4));
  let stolen = 0;
  socket.on('message', () => (stolen += 1));
  for (let port = RTP_PORTS.first; port <= RTP_PORTS.last; port += 2) {
    for (let sequence = 0; sequence < 4; sequence += 1) socket.send(rtp(sequence), port, '127.0.0.1');
    if (port % 64 === 0) await pause(5);
  }
  // A phone that has not sent yet may lose some packets to us, but gets its sound back the moment it sends.
  await pause(3000);
  stolen = 0;
  await pause(1000);
  socket.close();
  return stolen > 0 ? `a stranger got ${stolen} RTP packets of a phone` : undefined;
}

/** A call whose SDP names somebody else's address, which only listens. */
async function aimAtOthers({ gateway, rest }: Target): Promise<string | undefined> {
  const victim = await bound(RECEIVER);
  let packets = 0;
  victim.on('message', () => (packets += 1));
  const peer = await SipPeer.udp({ host: '127.0.0.1', port: gateway.sipPort }, address(6));
  try {
    const session = await rest.session();
    const { token, id } = await rest.member(session);
    const caller = new Caller(peer, 'UDP', address(6));
    const body = [
      'v=0',
      `o=- 1 1 IN IP4 ${RECEIVER}`,
      's=-',
      `c=IN IP4 ${RECEIVER}`,
      't=0 0',
      `m=audio ${victim.address().port} RTP/AVP 0`,
      'a=recvonly',
      '',
    ].join('\r\n');
    peer.send(caller.request('INVITE', 1, { headers: [`User-to-User: ${token};encoding=jwt`], body }));
    const final = await peer.final(20_000);
    if (final.status !== 200) return undefined;
    caller.learn(final);
    peer.send(caller.request('ACK', 1));
    await pause(WATCHED_MS - LAST_MS);
    packets = 0;
    await pause(LAST_MS);
    await rest.deleteParticipant(id);
    await rest.deleteSession(session);
    return packets > 0 ? `${packets} RTP packets went to somebody who never answered` : undefined;
  } finally {
    victim.close();
    peer.close();
  }
}

/** With RTP, without being in the call. */
export const MEDIA_ATTACKS: readonly Attack[] = [
  { name: 'RTP to the ports of others', everyMs: 2000, turn: takeOver },
  { name: 'RTP aimed at others', everyMs: 1000, turn: aimAtOthers },
];
