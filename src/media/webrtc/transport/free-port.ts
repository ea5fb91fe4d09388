import { createSocket } from 'node:dgram';
import { MediaError } from '../../types.js';

/**
 * Finds out that a UDP port is free, or (0) which one is: the transport library opens the port with the first
 * connection only, and cannot choose one for all of them.
 * @throws MediaError NO_PORT
 */
export async function freeUdpPort(host: string, port: number): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, resolve);
    });
    return socket.address().port;
  } catch (error) {
    throw new MediaError('NO_PORT', `UDP port ${port} of ${host} cannot be used.`, { cause: error });
  } finally {
    socket.close();
  }
}
