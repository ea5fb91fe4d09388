import type { Log } from '../shared/index.js';
import type { AdminOptions } from './apps/admin.js';
import type { RequestExemption } from './defence/source-filter.js';
import type { InviteView } from './defence/request-view.js';
import type { RequestRouter } from './routing/decision.js';
import type { Endpoint } from './transport/flow.js';
import type { TlsPeerOptions } from './transport/connection.js';
import type { ListenerOptions } from './transport/transports.js';
import type { CaptureOptions, MessageTap } from './trace.js';

/** Limits of the server's tables. */
export interface SipLimits {
  readonly maxTransactions: number;
  readonly maxDialogs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** How long the peer of a connection may take to send its first message, in ms. */
  readonly firstMessageMs: number;
  /** How long a partly received message may take to become complete, in ms. */
  readonly wholeMessageMs: number;
  /** How long a connection may be idle before it is closed, in ms. */
  readonly connectionIdleMs: number;
  /** Messages per second that one source address may send. */
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

/** Decides whether there is room for new calls. Both methods return seconds for `Retry-After`. */
export interface SipAdmission {
  /**
   * Asked before a new INVITE is served.
   * @param isOwn whether it comes from a socket of this process: `SipServerOptions.isOwnSocket`
   * @returns when to try again, if the INVITE is to be refused
   */
  admit(source: string, isOwn: boolean): number | undefined;
  /**
   * Called when a new request is refused because too many are waiting.
   * @returns when to try again
   */
  crowded(): number;
}

/** How to start the SIP server. */
export interface SipServerOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Where applications connect, and the secret that they must give. Port 0 takes a free port. */
  readonly admin: AdminOptions;
  /** How to check the certificates of servers we connect to. Default: by Node's own list of authorities. */
  readonly tlsPeers?: TlsPeerOptions | undefined;
  /**
   * Decides what happens to a new request that some application asked for. Default: the applications that asked for
   * its method take turns, whatever their tags.
   */
  readonly router?: RequestRouter | undefined;
  /** Where no tag is asked for, applications with this tag come before the others. */
  readonly homeTag?: string | undefined;
  /** Shortest session interval that peers may ask for, in seconds. Default: the 90 s of RFC 4028. */
  readonly minSessionSeconds?: number | undefined;
  /** CIDRs that may send anything at all; empty: everyone. */
  readonly allow: readonly string[];
  /** Whether an address and UDP port are a socket of this process, for which neither `allow` nor rates hold. Default: none is. */
  readonly isOwnSocket?: ((remote: Endpoint) => boolean) | undefined;
  /** IPv4 address to announce in Via and Contact when behind NAT. */
  readonly publicIp?: string | undefined;
  /** User-Agents that get no response, given by the name that they begin with. Default: well-known scanners. */
  readonly scanners?: readonly string[] | undefined;
  /** Asked whether a request from such a User-Agent is served all the same. */
  readonly exempts?: RequestExemption | undefined;
  /** Homer server that gets a copy of every message. */
  readonly capture?: CaptureOptions | undefined;
  /** Told of every message of every call, secrets included. Called on the way of each message: it must be quick. */
  readonly onMessage?: MessageTap | undefined;
  /** Headers, besides the known ones, whose values are masked in log and capture. */
  readonly maskedHeaders?: readonly string[] | undefined;
  readonly limits?: Partial<SipLimits> | undefined;
  /** Told of each new INVITE that got 503 because there was no room for it, and again when it is retransmitted. */
  readonly onNoRoom?: ((invite: InviteView) => void) | undefined;
  /** Default: there is room as long as new requests do not wait too long. */
  readonly admission?: SipAdmission | undefined;
  /** Dialogs that `SipServer.savedDialog` gave out in an earlier process. Those that cannot be used are logged. */
  readonly restored?: readonly unknown[] | undefined;
  /**
   * Called when what `SipServer.savedDialog` tells of a dialog has changed, and before the 2xx that confirms it is
   * sent.
   */
  readonly onDialogChanged?: ((dialogId: string) => void) | undefined;
  /**
   * Whether requests may be sent in dialogs now. While not, applications' requests in dialogs fail, refreshes of sessions wait,
   * and a dialog that the server ends by itself ends without BYE. Default: always.
   */
  readonly mayAct?: (() => boolean) | undefined;
  readonly log: Log;
}
