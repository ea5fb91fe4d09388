import type { EndReason } from '../core/index.js';

/** A WebSocket close (RFC 6455 section 7.4): with 1000 the clients stay away, with others they reconnect. */
export interface SocketClose {
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/** How a browser is told that its connection has ended. */
export function closeFor(reason: EndReason): SocketClose {
  switch (reason) {
    case 'left':
    case 'replaced':
    case 'disconnected':
    case 'participant-deleted':
    case 'session-deleted':
    case 'expired':
    case 'max-duration':
      return { code: 1000, reason };
    case 'lost':
    case 'media-timeout':
    case 'error':
    case 'crashed':
      return { code: 1011, reason };
    case 'shutdown':
      return { code: 1012, reason };
  }
}
