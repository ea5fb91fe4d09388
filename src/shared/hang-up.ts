import type { Duplex } from 'node:stream';

/** A peer that does not read its answer in this time goes without. */
const LINGER_MS = 1_000;

/**
 * Sends a last word and frees the socket. Node's HTTP sockets stay half open: `end` alone would leave one, and its
 * descriptor, to a peer that never hangs up itself.
 */
export function hangUp(stream: Duplex, lastWord: string): void {
  const free = (): void => void stream.destroy();
  const timer = setTimeout(free, LINGER_MS).unref();
  stream.on('error', free);
  stream.once('close', () => clearTimeout(timer));
  stream.end(lastWord, free);
}
