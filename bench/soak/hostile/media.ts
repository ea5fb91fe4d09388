import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { audioAddressOf } from '../../../test/support/sip-message.js';
import { phoneOffer } from '../../../test/support/sipp.js';
import { Caller, SipPeer } from '../../../test/support/sip-peer.js';
import { ToneSocket } from '../../../test/support/tone-socket.js';
import { until } from '../../../test/support/until.js';
import { type Attack, address, pause, type Target } from './attack.js';

const STRANGER = address(4);
const RECEIVER = address(5);
const LATE_PHONE = address(7);
/** Longer than the 10 s after which the gateway stops sending to an address that never answers. */
const WATCHED_MS = 15_000;
const LAST_MS = 2000;
/** Time limit for sound to arrive at a stranger or a phone. */
const shows = { withinMs: 15_000 };
const THEN_MS = 2000;

/** Ports of calls that are aimed at others. They are not taken over, since their media would no longer go there. */
const aimedPorts = new Set<number>();

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

/** A call whose phone has not sent RTP. */
interface SilentCall {
  /** Where the gateway receives its RTP. */
  readonly port: number;
  end(): Promise<void>;
}

/** Places a call with an SDP, from an address. @returns undefined if the gateway is full */
async function placeSilentCall(
  { gateway, rest }: Target,
  from: string,
  body: string,
): Promise<SilentCall | undefined> {
  const peer = await SipPeer.udp({ host: '127.0.0.1', port: gateway.sipPort }, from);
  const session = await rest.session();
  const { token, id } = await rest.member(session);
  const end = async (): Promise<void> => {
    await rest.deleteParticipant(id);
    await rest.deleteSession(session);
    peer.close();
  };
  try {
    const caller = new Caller(peer, 'UDP', from);
    peer.send(caller.request('INVITE', 1, { headers: [`User-to-User: ${token};encoding=jwt`], body }));
    const final = await peer.final(20_000);
    if (final.status === 200) {
      caller.learn(final);
      peer.send(caller.request('ACK', 1));
      return { port: audioAddressOf(final.body).port, end };
    }
  } catch (error) {
    await end();
    throw error;
  }
  await end();
  return undefined;
}

/**
 * Sends four packets in order to each port that may belong to a phone: if the gateway believes them, they get that
 * phone's sound. Phones that have sent must not lose it. A phone that has not sent (it only listens, or echoes) may lose
 * its sound until it sends; we try that with a phone of our own.
 */
async function takeOver(target: Target): Promise<string | undefined> {
  const phone = await ToneSocket.open({ frequency: 500, host: LATE_PHONE });
  const offer = phoneOffer(phone.port, { host: LATE_PHONE });
  const call = await placeSilentCall(target, LATE_PHONE, offer);
  const socket = await bound(STRANGER);
  const caught = new Map<number, number>();
  socket.on('message', (_packet, { port }) => caught.set(port, (caught.get(port) ?? 0) + 1));
  const caughtOf = (port: number): number => caught.get(port) ?? 0;
  try {
    const [first, last] = target.rtpPorts;
    for (let port = first; port <= last; port += 2) {
      if (aimedPorts.has(port)) continue;
      for (let sequence = 0; sequence < 4; sequence += 1) socket.send(rtp(sequence), port, '127.0.0.1');
      if (port % 64 === 0) await pause(5);
    }
    await pause(THEN_MS);
    const stolen = target.talkersPorts.reduce((sum, port) => sum + caughtOf(port), 0);
    if (stolen > 0) return `a stranger got ${stolen} RTP packets of phones that talk`;
    if (!call) return undefined;
    const { port } = call;
    // Otherwise the following would test nothing.
    await until('the sound of a phone that has not sent, at a stranger', () => caughtOf(port) > 0, shows);
    phone.start({ host: '127.0.0.1', port });
    const goal = phone.packets + 5;
    await until('the sound of a phone that a stranger had', () => phone.packets >= goal, shows);
    const before = caughtOf(port);
    await pause(1000);
    const kept = caughtOf(port) - before;
    return kept > 0 ? `a stranger got ${kept} RTP packets of a phone after that had sent` : undefined;
  } finally {
    socket.close();
    phone.close();
    await call?.end();
  }
}

/** Places a call whose SDP names the address of somebody else, who only listens. */
async function aimAtOthers(target: Target): Promise<string | undefined> {
  const victim = await bound(RECEIVER);
  let packets = 0;
  victim.on('message', () => (packets += 1));
  const offer = phoneOffer(victim.address().port, { host: RECEIVER, direction: 'recvonly' });
  try {
    const call = await placeSilentCall(target, address(6), offer);
    if (!call) return undefined;
    aimedPorts.add(call.port);
    await pause(WATCHED_MS - LAST_MS);
    packets = 0;
    await pause(LAST_MS);
    aimedPorts.delete(call.port);
    await call.end();
    return packets > 0 ? `${packets} RTP packets went to somebody who never answered` : undefined;
  } finally {
    victim.close();
  }
}

/** Attacks by RTP from outside of calls. */
export const MEDIA_ATTACKS: readonly Attack[] = [
  { name: 'RTP to the ports of others', everyMs: 2000, turn: takeOver },
  { name: 'RTP aimed at others', everyMs: 1000, turn: aimAtOthers },
];
