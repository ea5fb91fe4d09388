import type { Log } from '../shared/index.js';
import type { AdminOptions } from './apps/admin.js';
import type { RequestExemption } from './defence/source-filter.js';
import type { RequestRouter } from './routing/decision.js';
import type { TlsPeerOptions } from './transport/connection.js';
import type { ListenerOptions } from './transport/transports.js';
import type { CaptureOptions } from './trace/message-trace.js';

/** Bounds of the server's tables. */
export interface SipLimits {
  readonly maxTransactions: number;
  readonly maxDialogs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Milliseconds that the peer of a connection has for its first message. */
  readonly firstMessageMs: number;
  /** Milliseconds that a half message may take to become whole. */
  readonly wholeMessageMs: number;
  /** Milliseconds without a byte after which a connection is closed. */
  readonly connectionIdleMs: number;
  /** Messages that one source address may send. */
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
}

export const DEFAULT_SIP_LIMITS: SipLimits = {
  maxTransactions: 50_000,
  maxDialogs: 20_000,
  maxConnections: 4096,
  maxConnectionsPerAddress: 256,
  firstMessageMs: 10_000,
  wholeMessageMs: 30_000,
  connectionIdleMs: 3_600_000,
  messagesPerSecond: 2000,
  messageBurst: 8000,
};

/** Decides whether there is room for new calls. Times are what `Retry-After` says, in seconds. */
export interface SipAdmission {
  /** Asked when a new INVITE is about to be served. @returns when to try again, if it is not to be served */
  admit(source: string): number | undefined;
  /** Told that a new request is refused since too many are waiting. @returns when to try again */
  crowded(): number;
}

/** How to start the SIP server. */
export interface SipServerOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Where applications connect, and the secret that they must give. Port 0 takes a free one. */
  readonly admin: AdminOptions;
  /** Whom TLS connections that the server opens may lead to; verified by the authorities that Node brings by default. */
  readonly tlsPeers?: TlsPeerOptions | undefined;
  /**
   * Decides on requests that start something new and that some application wants. Left out: the applications that
   * want the method take turns, whatever their tags.
   */
  readonly router?: RequestRouter | undefined;
  /** Where no tag is asked for, applications with this one come before others. */
  readonly homeTag?: string | undefined;
  /** Shortest session interval, in seconds, that peers may ask for; the 90 s of RFC 4028 by default. */
  readonly minSessionSeconds?: number | undefined;
  /** CIDRs that may send requests; empty allows everyone who can reach the port. */
  readonly allow: readonly string[];
  /** IPv4 address to announce in Via and Contact when behind NAT. */
  readonly publicIp?: string | undefined;
  /** What the User-Agents begin with that are never answered; well-known scanners by default. */
  readonly scanners?: readonly string[] | undefined;
  /** Asked about a new request of such a User-Agent. */
  readonly exempts?: RequestExemption | undefined;
  /** Homer server that gets a copy of every message. */
  readonly capture?: CaptureOptions | undefined;
  /** Headers besides the known ones whose values are kept out of log and capture. */
  readonly maskedHeaders?: readonly string[] | undefined;
  readonly limits?: Partial<SipLimits> | undefined;
  /** Left out: there is room as long as new requests do not wait too long. */
  readonly admission?: SipAdmission | undefined;
  readonly log: Log;
}
