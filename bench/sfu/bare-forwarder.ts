/**
 * The least that forwarding costs: a process with one UDP socket that sends each datagram to everybody but its sender,
 * without encryption, and without looking at it. Gets its participants as a message and answers with its port.
 */
import { createSocket } from 'node:dgram';
import type { BareParticipant } from './bare.js';

process.on('message', (participants: readonly BareParticipant[]) => {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  const receivers = new Map(
    participants.map(({ from }) => [
      from,
      participants.filter((other) => other.from !== from).map(({ to }) => to),
    ]),
  );
  socket.on('message', (packet, { port }) => {
    for (const to of receivers.get(port) ?? []) socket.send(packet, to, '127.0.0.1', () => undefined);
  });
  socket.bind(0, '127.0.0.1', () => process.send!(socket.address().port));
});
