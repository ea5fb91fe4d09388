/**
 * The measured end of bench/mix.ts, in a process of its own: phones of a media plane, or a bare echo of as many
 * sockets. Started with `echo` or `phones`, and with how many.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { openPhonePlane } from '../src/media/phone/testing/test-plane.js';

/** Asked for by the driver: where it may send to, and how much processor time was used so far. */
export type Request =
  | {
      readonly kind: 'open';
      readonly peerPorts: readonly number[];
      readonly talkers: number;
      readonly codec: string;
    }
  | { readonly kind: 'processorTime' };

export interface OpenReply {
  readonly ports: readonly number[];
}

export interface TimeReply {
  readonly us: number;
}

/** Echoes each datagram from a connected socket: the least that receiving and sending cost here. */
async function openEcho(peerPorts: readonly number[]): Promise<number[]> {
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

/** Phones that all hear the first few of them. */
async function openPhones(peerPorts: readonly number[], talkers: number, codec: string): Promise<number[]> {
  const plane = openPhonePlane({ rtpPorts: [20000, 29999], mediaTimeoutMs: 60_000 });
  const descriptions = await Promise.all(
    peerPorts.map((port, i) => plane.openPhone({ deviceId: `${i}`, sdpOffer: offer(port, codec) })),
  );
  const streams = descriptions.map(({ stream }) => stream!.streamId);
  for (const [i, own] of streams.entries()) {
    const heard = streams.slice(0, talkers).filter((streamId) => streamId !== own);
    await plane.setDelivery(
      `${i}`,
      heard.map((streamId) => ({ streamId, kinds: ['audio'] })),
    );
  }
  return descriptions.map(({ sdp }) => Number(/m=audio (\d+)/.exec(sdp)![1]));
}

function offer(port: number, codec: string): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 96`,
    `a=rtpmap:96 ${codec}`,
    '',
  ].join('\r\n');
}

process.on('message', (request: Request) => {
  switch (request.kind) {
    case 'open': {
      const { peerPorts, talkers, codec } = request;
      const opened = process.argv[2] === 'echo' ? openEcho(peerPorts) : openPhones(peerPorts, talkers, codec);
      void opened.then((ports) => process.send!({ ports } satisfies OpenReply));
      return;
    }
    case 'processorTime': {
      const { user, system } = process.cpuUsage();
      process.send!({ us: user + system } satisfies TimeReply);
    }
  }
});
