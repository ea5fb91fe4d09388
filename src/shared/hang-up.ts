import type { Duplex } from 'node:stream';

/** How long the peer may take to read the last words. */
const LINGER_MS = 1_000;

/**
 * Sends `lastWord` and frees the socket. Node's HTTP sockets allow half-open connections: with `end` alone, a peer that
 * never closes its side would keep the socket and its descriptor.
 */
export function hangUp(stream: Duplex, lastWord: string): void {
  const free = (): void => void stream.destroy();
  const timer = setTimeout(free, LINGER_MS).unref();
  stream.on('error', free);
  stream.once('close', () => clearTimeout(timer));
  stream.end(lastWord, free);
}
