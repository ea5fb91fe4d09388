import { createSocket } from 'node:dgram';

/** A UDP port of `host` that is free now, for tests: the transport library cannot choose one for all its pipes. */
export async function freeUdpPort(host: string): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, host, resolve);
    });
    return socket.address().port;
  } finally {
    socket.close();
  }
}
