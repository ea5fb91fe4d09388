import { type EndReason, mayResume } from '../core/index.js';

/** A WebSocket close (RFC 6455 section 7.4): with 1000 the clients stay away, with others they reconnect. */
export interface SocketClose {
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/** How a browser is told that its connection has ended: those that may come back are told so. */
export function closeFor(reason: EndReason): SocketClose {
  if (!mayResume(reason)) return { code: 1000, reason };
  return { code: reason === 'shutdown' ? 1012 : 1011, reason };
}
