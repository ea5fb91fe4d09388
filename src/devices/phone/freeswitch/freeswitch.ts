import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { PhoneDoor } from '../../../media/index.js';
import type { EmbeddedServer, FreeswitchRecords } from '../restore/call-keeper.js';
import type { CallRecord } from '../restore/call-record.js';
import { CarriedLegs } from './carried-legs.js';
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
  /** The SIP servers, by their names, which stay the same over restarts. */
  readonly sipServers: ReadonlyMap<string, Srf>;
  /** Absent with drachtio-server. */
  readonly embedded: EmbeddedServer | undefined;
  /** Calls that the gateway before has left. */
  readonly left: readonly CallRecord[];
  /** What is to be kept of a device's way through FreeSWITCH has changed. */
  readonly onChanged: (deviceId: string) => void;
  readonly log: Logger;
}

/** Connects phones through FreeSWITCH. */
interface Freeswitch {
  /** Replaces the media plane for `phone/`. */
  readonly media: PhoneDoor & FreeswitchRecords;
  /** Hangs up what the gateway before has left and nobody has gone on with. To be called once SIP servers are connected. */
  releaseLeft(): void;
  status(): FreeswitchStatus[];
  /** Disconnects from all. Calls must be over. */
  stop(): void;
}

/** Connects to the pool. Resolves when each FreeSWITCH was tried once; those that are down are retried. */
export async function startFreeswitch(options: FreeswitchOptions): Promise<Freeswitch> {
  const { srf, gatewayId, log, servers } = options;
  const onDown = (server: FreeswitchServer): void => media.lost(server);
  const spared = (): Set<string> => media.leftChannels();
  const all = servers.map(
    (server) => new FreeswitchServer({ ...server, srf, gatewayId, log, onDown, spared }),
  );
  const pool = new FreeswitchPool(all);
  const left = new Map(options.left.map((record) => [record.info.id, record]));
  const media = new FreeswitchMedia(pool, { ...options, left, carriedLegs: new CarriedLegs(options) });
  await pool.start();
  return {
    media,
    releaseLeft: () => media.releaseLeft(),
    status: () => all.map((server) => ({ ...server.status(), calls: media.callsOn(server) })),
    stop: () => pool.stop(),
  };
}
