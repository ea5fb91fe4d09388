/** A process of its own for `control.ts`: sends every datagram back, and does nothing else. */
import { createSocket } from 'node:dgram';

const socket = createSocket('udp4');
socket.on('message', (bytes, { address, port }) => socket.send(bytes, port, address));
socket.bind(0, '127.0.0.1', () => process.send?.({ port: socket.address().port }));
