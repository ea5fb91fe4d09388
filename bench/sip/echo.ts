/** A process for `control.ts` that sends every datagram back. */
import { createSocket } from 'node:dgram';

const socket = createSocket('udp4');
socket.on('message', (bytes, { address, port }) => socket.send(bytes, port, address));
socket.bind(0, '127.0.0.1', () => process.send?.({ port: socket.address().port }));
