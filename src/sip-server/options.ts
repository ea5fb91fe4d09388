import type { AdminOptions } from './apps/admin.js';
import type { SipLog } from './log.js';
import type { ListenerOptions } from './transport/transports.js';

/** Bounds of the server's tables. */
export interface SipLimits {
  readonly maxTransactions: number;
  readonly maxDialogs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Milliseconds without a byte after which a connection is closed. */
  readonly connectionIdleMs: number;
}

export const DEFAULT_LIMITS: SipLimits = {
  maxTransactions: 50_000,
  maxDialogs: 20_000,
  maxConnections: 4096,
  maxConnectionsPerAddress: 256,
  connectionIdleMs: 3_600_000,
};

/** How to start the SIP server. */
export interface SipServerOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Where applications connect, and the secret that they must give. Port 0 takes a free one. */
  readonly admin: AdminOptions;
  /** CIDRs that may send requests; empty allows everyone who can reach the port. */
  readonly allow: readonly string[];
  /** IPv4 address to announce in Via and Contact when behind NAT. */
  readonly publicIp?: string | undefined;
  readonly limits?: Partial<SipLimits> | undefined;
  readonly log: SipLog;
}
