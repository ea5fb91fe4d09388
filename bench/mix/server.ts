/**
 * A process that carries a conversation of bench/mix.ts: phones of a media plane, or a bare echo of as many sockets.
 * Started with `echo`, `clocked` (an echo that sends every 20 ms), `phones` or `found` (phones with another announced
 * address), and with the URL of the checkout whose media plane it runs. It gets the conversation as a message, and answers
 * with the port for each phone.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { MixClock } from '../../src/media/audio/index.js';
import type * as TestPlane from '../../src/media/phone/testing/test-plane.js';
import type { BenchCodec, Conversation, Scene } from './contestant.js';

async function openSockets({ peerPorts }: Conversation): Promise<Socket[]> {
  return Promise.all(
    peerPorts.map(async (peerPort) => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      socket.connect(peerPort, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
}

const portsOf = (sockets: readonly Socket[]): number[] => sockets.map((socket) => socket.address().port);

/** Echoes each datagram from a connected socket: the least that receiving and sending cost here. */
async function openEcho(conversation: Conversation): Promise<number[]> {
  const sockets = await openSockets(conversation);
  for (const socket of sockets) socket.on('message', (packet) => socket.send(packet, () => undefined));
  return portsOf(sockets);
}

/** Sends what came last every 20 ms. */
async function openClocked(conversation: Conversation): Promise<number[]> {
  const sockets = await openSockets(conversation);
  const latest = new Map<Socket, Buffer>();
  for (const socket of sockets) socket.on('message', (packet) => void latest.set(socket, packet));
  const clock = new MixClock({
    onError: (error) => {
      throw error;
    },
  });
  clock.add({
    onFrame: () => {
      for (const [socket, packet] of latest) socket.send(packet, () => undefined);
    },
  });
  return portsOf(sockets);
}

/** @param host the address announced for their media */
async function openPhones({ peerPorts, scene, codec }: Conversation, host: string): Promise<number[]> {
  const file = new URL('src/media/phone/testing/test-plane.ts', process.argv[3]);
  const { PhonePlane } = (await import(file.href)) as typeof TestPlane;
  const plane = new PhonePlane({ rtpPorts: [20000, 29999], mediaTimeoutMs: 60_000 });
  const phones = peerPorts.map((port, i) =>
    plane.open({ kind: 'phone', deviceId: `${i}`, sdpOffer: offer(host, port, codec) }, () => undefined),
  );
  const descriptions = await Promise.all(phones.map(({ opened }) => opened));
  const streams = descriptions.map(({ stream }) => stream!.streamId);
  for (const [i, phone] of phones.entries()) {
    const heard = heardBy(i, scene).map((other) => streams[other]!);
    await phone.setDelivery(heard.map((streamId) => ({ streamId, kinds: ['audio'] })));
  }
  return descriptions.map(({ sdp }) => Number(/m=audio (\d+)/.exec(sdp)![1]));
}

function heardBy(phone: number, { phones, talkers, session }: Scene): number[] {
  const all = Array.from({ length: phones }, (_, i) => i);
  const inSession = (other: number): boolean =>
    session === undefined
      ? other < (talkers ?? 0)
      : Math.floor(other / session) === Math.floor(phone / session);
  return all.filter((other) => other !== phone && inSession(other));
}

const FORMATS: Record<BenchCodec, readonly [payloadType: number, ...lines: string[]]> = {
  PCMU: [0],
  G722: [9],
  opus: [111, 'a=rtpmap:111 opus/48000/2'],
};

function offer(host: string, port: number, codec: BenchCodec): string {
  const [payloadType, ...attributes] = FORMATS[codec];
  const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', `c=IN IP4 ${host}`, 't=0 0'];
  return [...lines, `m=audio ${port} RTP/AVP ${payloadType}`, ...attributes, ''].join('\r\n');
}

process.on('message', (conversation: Conversation) => {
  const role = process.argv[2] as 'echo' | 'clocked' | 'phones' | 'found';
  const host = role === 'found' ? '127.0.0.2' : '127.0.0.1';
  const opened =
    role === 'echo'
      ? openEcho(conversation)
      : role === 'clocked'
        ? openClocked(conversation)
        : openPhones(conversation, host);
  void opened.then((ports) => process.send!(ports));
});
