import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { PhoneDoor } from '../../../media/index.js';
import { FreeswitchMedia, FreeswitchPool } from './media.js';
import { FreeswitchServer, type ServerStatus } from './server.js';

/** The state of a FreeSWITCH of the pool, for monitoring. */
export interface FreeswitchStatus extends ServerStatus {
  /** Calls of this gateway on it now. */
  readonly calls: number;
}

interface FreeswitchOptions {
  /** The drachtio-srf for a call to FreeSWITCH: one whose SIP server can be reached now. */
  readonly srf: () => Srf;
  /** Whether a SIP server can be reached. Waits for one that may come back. */
  readonly sipReachable: () => Promise<boolean>;
  /** The media plane that the phones are bridged to. */
  readonly plane: PhoneDoor;
  /** Event sockets. */
  readonly servers: readonly { readonly host: string; readonly port: number; readonly secret: string }[];
  /** Stays the same when this gateway restarts, and differs from all other gateways: letters, digits and hyphens. */
  readonly gatewayId: string;
  /** Address where the plane receives RTP, if its SDP has another (public) one. */
  readonly rtpHost?: string;
  /** Without a healthy FreeSWITCH, phones are connected directly to the media plane instead of being refused with 503. */
  readonly fallbackToDirect: boolean;
  readonly log: Logger;
}

/** Connects phones through FreeSWITCH. */
interface Freeswitch {
  /** Replaces the media plane for `phone/`. */
  readonly media: PhoneDoor;
  status(): FreeswitchStatus[];
  /** Disconnects from all. Calls must be over. */
  stop(): void;
}

/** Connects to the pool. Resolves when each FreeSWITCH was tried once; those that are down are retried. */
export async function startFreeswitch(options: FreeswitchOptions): Promise<Freeswitch> {
  const { srf, gatewayId, log, servers } = options;
  const onDown = (server: FreeswitchServer): void => media.lost(server);
  const all = servers.map((server) => new FreeswitchServer({ ...server, srf, gatewayId, log, onDown }));
  const pool = new FreeswitchPool(all);
  const media = new FreeswitchMedia(pool, options);
  await pool.start();
  return {
    media,
    status: () => all.map((server) => ({ ...server.status(), calls: media.callsOn(server) })),
    stop: () => pool.stop(),
  };
}
