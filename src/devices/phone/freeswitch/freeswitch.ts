import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { PhoneDoor } from '../../../media/index.js';
import { FreeswitchMedia, FreeswitchPool } from './media.js';
import { FreeswitchServer, type ServerStatus } from './server.js';

/** How a FreeSWITCH of the pool is, for those who look. */
export interface FreeswitchStatus extends ServerStatus {
  /** Calls that this gateway has on it now. */
  readonly calls: number;
}

interface FreeswitchOptions {
  /** What a call to FreeSWITCH is to be placed with: one whose SIP server can be reached now. */
  readonly srf: () => Srf;
  /** Whether there is such a SIP server; waits for one that may come back. */
  readonly sipReachable: () => Promise<boolean>;
  /** The media plane that the phones are bridged to. */
  readonly plane: PhoneDoor;
  /** Event sockets. */
  readonly servers: readonly { readonly host: string; readonly port: number; readonly secret: string }[];
  /** The same over restarts of this gateway, different from every other gateway's: letters, digits and hyphens. */
  readonly gatewayId: string;
  /** Address that the plane receives RTP on, when its SDP names another (a public one). */
  readonly rtpHost?: string;
  /** Without a healthy FreeSWITCH, phones go straight to the media plane instead of being refused with 503. */
  readonly fallbackToDirect: boolean;
  readonly log: Logger;
}

/** Phones by way of FreeSWITCH. */
interface Freeswitch {
  /** What takes the media plane's place for `phone/`. */
  readonly media: PhoneDoor;
  status(): FreeswitchStatus[];
  /** Disconnects from all; calls must be over. */
  stop(): void;
}

/** Connects to the pool. Resolves when each FreeSWITCH was tried once; those that are down are tried on. */
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
