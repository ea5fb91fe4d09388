import type { Rate } from '../../shared/index.js';
import type { SocketLimits } from '../socket-gate.js';

/** How much one browser, participant or address may use. */
export interface BrowserLimits extends SocketLimits {
  /** Bytes of one message. A longer one closes the socket with 1009. */
  readonly messageBytes: number;
  readonly messages: Rate;
  /** Bytes of all messages of one socket. */
  readonly bytes: Rate;
  /** Publish offers of one device. More get an error. */
  readonly offers: Rate;
  /** Messages of one socket that are not valid JSON-RPC. One more closes it with 1008. */
  readonly invalidMessages: number;
  /** Bytes that wait to be sent to one browser. With more, its socket is cut. */
  readonly outgoingBytes: number;
  /** New devices of one participant. */
  readonly devices: Rate;
  /** A socket is cut if its page has not answered our close frame after this many ms. */
  readonly closeMs: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_BROWSER_LIMITS: BrowserLimits = {
  messageBytes: MEBIBYTE,
  messages: { burst: 200, perSecond: 40 },
  bytes: { burst: 8 * MEBIBYTE, perSecond: MEBIBYTE },
  offers: { burst: 20, perSecond: 2 },
  invalidMessages: 10,
  outgoingBytes: 4 * MEBIBYTE,
  socketsPerAddress: 500,
  connects: { burst: 200, perSecond: 40 },
  devices: { burst: 20, perSecond: 1 },
  sockets: 5_000,
  closeMs: 5_000,
};
