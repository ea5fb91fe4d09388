import { fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Ports of one participant of a bare session. */
export interface BareParticipant {
  /** It sends from this port. */
  readonly from: number;
  /** It receives on this one. */
  readonly to: number;
}

interface BareSession {
  /** Of the forwarding process. */
  readonly pid: number;
  /** Sends a packet as this participant. */
  readonly senders: readonly ((packet: Buffer) => void)[];
  close(): void;
}

/**
 * A session that `bare-forwarder.ts` carries. The first few participants are measured, as at the gateway;
 * what the others receive is dropped.
 */
export async function bareSession(
  size: number,
  sampled: number,
  onPacket: (packet: Buffer) => void,
): Promise<BareSession> {
  const sockets = await Promise.all(Array.from({ length: size }, () => bound()));
  const sink = await bound();
  for (const socket of sockets.slice(0, sampled)) socket.on('message', onPacket);
  const participants = sockets.map((socket, i): BareParticipant => {
    const from = socket.address().port;
    return { from, to: i < sampled ? from : sink.address().port };
  });
  const child = fork(new URL('bare-forwarder.ts', import.meta.url), { execArgv: process.execArgv });
  child.send(participants);
  const [port] = (await once(child, 'message')) as [number];
  return {
    pid: child.pid!,
    // Copied: the caller writes the next packet into the same buffer, while this one may still wait for the system.
    senders: sockets.map(
      (socket) => (packet) => socket.send(Buffer.from(packet), port, '127.0.0.1', () => undefined),
    ),
    close: () => {
      child.kill();
      for (const socket of [...sockets, sink]) socket.close();
    },
  };
}

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}
