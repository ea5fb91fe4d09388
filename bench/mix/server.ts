/**
 * A process that carries a conversation of bench/mix.ts: phones of a media plane, or a bare echo of as many sockets.
 * Started with `echo`, `phones` or `found` (phones with another announced address). It gets the conversation as a
 * message, and answers with the port for each phone.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import { PhonePlane } from '../../src/media/phone/testing/test-plane.js';
import type { BenchCodec, Conversation } from './contestant.js';

/** Echoes each datagram from a connected socket: the least that receiving and sending cost here. */
async function openEcho({ peerPorts }: Conversation): Promise<number[]> {
  return Promise.all(
    peerPorts.map(async (peerPort) => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      socket.connect(peerPort, '127.0.0.1');
      await once(socket, 'connect');
      socket.on('message', (packet) => socket.send(packet, () => undefined));
      return socket.address().port;
    }),
  );
}

/** Phones that all hear the first few of them. @param host the address announced for their media */
async function openPhones({ peerPorts, talkers, codec }: Conversation, host: string): Promise<number[]> {
  const plane = new PhonePlane({ rtpPorts: [20000, 29999], mediaTimeoutMs: 60_000 });
  const phones = peerPorts.map((port, i) =>
    plane.open({ kind: 'phone', deviceId: `${i}`, sdpOffer: offer(host, port, codec) }, () => undefined),
  );
  const descriptions = await Promise.all(phones.map(({ opened }) => opened));
  const streams = descriptions.map(({ stream }) => stream!.streamId);
  for (const [i, own] of streams.entries()) {
    const heard = streams.slice(0, talkers).filter((streamId) => streamId !== own);
    await phones[i]!.setDelivery(heard.map((streamId) => ({ streamId, kinds: ['audio'] })));
  }
  return descriptions.map(({ sdp }) => Number(/m=audio (\d+)/.exec(sdp)![1]));
}

function offer(host: string, port: number, codec: BenchCodec): string {
  const { payloadType } = findAudioCodec(codec, 8000)!;
  const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', `c=IN IP4 ${host}`, 't=0 0'];
  return [...lines, `m=audio ${port} RTP/AVP ${payloadType}`, ''].join('\r\n');
}

process.on('message', (conversation: Conversation) => {
  const role = process.argv[2];
  const host = role === 'found' ? '127.0.0.2' : '127.0.0.1';
  const opened = role === 'echo' ? openEcho(conversation) : openPhones(conversation, host);
  void opened.then((ports) => process.send!(ports));
});
