import type { Rate } from '../../shared/index.js';

/** How much of the gateway one browser, participant or address may use. Rates are tokens a second. */
export interface BrowserLimits {
  /** Bytes of one message; a longer one closes the socket with 1009. */
  readonly messageBytes: number;
  readonly messages: Rate;
  /** Bytes of all messages of a socket. */
  readonly bytes: Rate;
  /** Publish offers of one device; more are answered with an error. */
  readonly offers: Rate;
  /** Messages of a socket that were not valid JSON-RPC before it is closed with 1008. */
  readonly invalidMessages: number;
  /** Bytes waiting to be sent to one browser before its socket is cut. */
  readonly outgoingBytes: number;
  readonly socketsPerAddress: number;
  /** New sockets of one address. */
  readonly connects: Rate;
  /** New devices of one participant. */
  readonly devices: Rate;
  readonly sockets: number;
  /** A page that has not answered our close frame after so many ms loses its socket all the same. */
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
