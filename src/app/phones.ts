import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { measureCalls, measureFreeswitch, measureTakenCalls } from './metrics/traffic.js';
import type { Config } from './read-config.js';
import type { CoreEvents, DeviceGate } from '../core/index.js';
import type { TraceRing } from '../calls/index.js';
import { startEmbeddedSip } from './embedded-sip.js';
import type { CallRecord } from '../cluster/index.js';
import {
  type CallLease,
  type CallStore,
  createPhoneApp,
  dialogsOf,
  FailedCallReports,
  type LeftCall,
  leftCalls,
  type PhoneApp,
  type PhoneAppOptions,
  SipClient,
  startFreeswitch,
  takenCall,
} from '../devices/phone/index.js';
import type { LoadControl } from './load/index.js';
import type { MediaPlane } from '../media/index.js';
import type { Descriptors } from './sockets.js';
import type { Teardown } from './teardown.js';
import type { OwnCalls, SipTarget } from '../trial/index.js';

/** How long the start waits for a drachtio-server. After that, connecting goes on in the background. */
const FIRST_CONNECT_MS = 5000;

interface Parts {
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly metrics: Registry;
  readonly load: LoadControl;
  readonly descriptors: Descriptors;
  /** Where calls outlive both the gateway and their media host. */
  readonly calls: CallStore;
  /** For how long calls are not taken over by other gateways. */
  readonly lease: CallLease;
  /** Names the gateway among those of the database; undefined when it is the only one. */
  readonly gatewayId: string | undefined;
  /** By what the gateway knows its own calls. */
  readonly ownCalls: OwnCalls;
  /** Where SIP messages are kept; undefined: nowhere. */
  readonly ring: TraceRing | undefined;
}

/** A server, and whether it can be reached. */
interface Connected {
  readonly address: string;
  readonly connected: boolean;
}

/** Name of the embedded SIP server where dialogs name their server. */
const EMBEDDED = 'embedded';

export interface Phones {
  /** Where calls are received; empty while no SIP server can be reached. */
  readonly address: { readonly sip?: string; readonly sipPort?: number };
  /** Where a call of the gateway's own goes to now. */
  receivesAt(): SipTarget | undefined;
  /** Calls now, including those that are being set up. */
  calls(): number;
  /** What phones call now, and the connections to the SIP servers. */
  sip(): { readonly uri?: string; readonly connections: readonly Connected[] };
  /** Sends what was measured of a phone to the capture server, if there is one. */
  captureQuality(event: CoreEvents['measured'][0]): void;
  freeswitch(): readonly (Connected & { readonly calls: number })[];
  /**
   * Goes on with a call of another gateway, which is gone.
   * @returns whether the call is this gateway's now; it may end at once, if its phone does not go on
   */
  takeOver(call: CallRecord): Promise<boolean>;
  /** All devices of the previous gateway are connected to the core again. */
  deliverAgain(): void;
  /** Takes no new calls; resolves when those in progress have ended. */
  drain(): Promise<unknown>;
  /** Sends BYE in every call at once; the teardown waits for the answers. */
  hangUp(): void;
}

/**
 * Starts the SIP application, on the embedded SIP server or on the configured drachtio-servers. Media go directly to the
 * media plane, or through FreeSWITCH.
 */
export async function startPhones(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { gate, media, metrics, load, descriptors, calls, lease, gatewayId, ownCalls, ring }: Parts,
): Promise<Phones> {
  const failedCallReports = new FailedCallReports({
    gate,
    ...config.phone,
    log: log.child({ part: 'phone' }),
  });
  const apps: PhoneApp[] = [];
  const isEmbedded = config.drachtio.length === 0;
  const left = await leftCalls({
    carried: media.carried(),
    hosts: media.hosts().ids,
    calls,
    sipServers: isEmbedded ? [EMBEDDED] : config.drachtio.map(nameOf),
    gatewayId,
    log,
  });
  const embedded = isEmbedded
    ? await startEmbeddedSip(config, log, teardown, {
        gate,
        metrics,
        load,
        descriptors,
        failedCallReports,
        ownCalls,
        ring,
        restored: left.flatMap(({ record, isElsewhere }) => (isElsewhere ? [] : dialogsOf(record))),
        mayAct: () => lease.isHeld,
        onDialogChanged: (dialogId) => apps.forEach((app) => app.dialogChanged(dialogId)),
      })
    : undefined;
  const servers = embedded ? [embedded] : config.drachtio;
  const clientLog = log.child({ part: 'sip-client' });
  const clients = servers.map(
    (server) =>
      new SipClient({
        server,
        graceMs: config.drachtioGraceMs,
        log: clientLog,
        // The embedded SIP server shows more itself: retransmissions, and our own addresses.
        ...(ring && !isEmbedded && { onMessage: (...message) => ring.message(...message) }),
      }),
  );
  teardown.add('sip clients', () => clients.forEach((client) => client.stop()));
  const sipServers = new Map(
    clients.map(({ srf }, index) => [embedded ? EMBEDDED : nameOf(servers[index]!), srf]),
  );
  const freeswitch = await startFreeswitches(config, log, teardown, { media, metrics }, clients, {
    sipServers,
    embedded,
    left: left.flatMap(({ record, isElsewhere }) => (isElsewhere ? [] : [record])),
    onChanged: (deviceId) => apps.forEach((app) => app.wayChanged(deviceId)),
  });
  const callsNow = (): number => apps.reduce((sum, { callCount }) => sum + callCount, 0);
  const observer = measureCalls(metrics, callsNow, () => failedCallReports.notLookedUp);
  load.countIn(callsNow);
  const takenOver = measureTakenCalls(metrics);
  const { admission } = load;
  // The embedded SIP server has checked admission already. Calls that it admitted at the same time may still be too many.
  const admit = (source: string, isTest: boolean) => {
    if (config.drachtio.length > 0 && !isTest) return admission.admit('phone', source)?.retryAfterS;
    return admission.full ? admission.refuse('phone', 'max_calls').retryAfterS : undefined;
  };
  apps.push(
    ...clients.map((client, index) =>
      createApp(client, config, log, {
        sipServer: embedded ? EMBEDDED : nameOf(servers[index]!),
        gate,
        calls,
        lease,
        ...(gatewayId !== undefined && { gatewayId }),
        media: freeswitch?.media ?? media,
        ...(freeswitch && { freeswitch: freeswitch.media }),
        failedCallReports,
        observer,
        admit,
        isTestCall: (callId) => ownCalls.take(callId),
        // drachtio-server does not know PATCHBAY_SIP_ALLOW.
        knowsPeers: embedded !== undefined && config.sip.allow.length > 0,
        ...(embedded && { embedded }),
      }),
    ),
  );
  teardown.add('phones', () => Promise.all(apps.map((app) => app.stop())));
  await Promise.all(apps.map((app) => app.restore(left)));
  await Promise.all(clients.map((client) => client.connect(FIRST_CONNECT_MS)));
  freeswitch?.releaseLeft();
  const takeOver = async (call: LeftCall): Promise<boolean> => {
    for (const app of apps) if (await app.takeOver(call)) return true;
    return false;
  };
  // This gateway had died while it took them over.
  for (const call of left)
    if (call.isElsewhere && !(await takeOver(call))) calls.deleteCall(call.record.info.id);
  const at = clients.find(({ connected }) => connected)?.sipAddress;
  const uri = at && `sip:${at.host}:${at.port}`;
  return {
    calls: callsNow,
    sip: () => ({
      ...(uri !== undefined && { uri }),
      connections: clients.map(({ connected }, index) => ({
        address: embedded ? EMBEDDED : nameOf(servers[index]!),
        connected,
      })),
    }),
    freeswitch: () =>
      (freeswitch?.status() ?? []).map(({ address, healthy, calls: onIt }) => ({
        address,
        connected: healthy,
        calls: onIt,
      })),
    captureQuality: (event) => {
      if (event.device.kind === 'phone') embedded?.captureQuality(event);
    },
    receivesAt: () => clients.find(({ connected }) => connected)?.receivesAt,
    address: at && uri !== undefined ? { sip: uri, sipPort: at.port } : {},
    async takeOver({ id, document }) {
      const call = takenCall(document);
      const isTaken = call !== undefined && (await takeOver(call));
      takenOver.inc({ result: isTaken ? 'taken' : 'refused' });
      if (!isTaken)
        log.warn({ connectionId: id }, 'A call of another gateway cannot go on here: it is lost.');
      return isTaken;
    },
    deliverAgain: () => apps.forEach((app) => app.deliverAgain()),
    drain: () => Promise.all(apps.map((app) => app.drain())),
    hangUp: () => void Promise.all(apps.map((app) => app.stop())),
  };
}

function nameOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host}:${port}`;
}

function createApp(
  client: SipClient,
  config: Config,
  log: Logger,
  parts: Pick<
    PhoneAppOptions,
    | 'sipServer'
    | 'gate'
    | 'media'
    | 'failedCallReports'
    | 'observer'
    | 'admit'
    | 'isTestCall'
    | 'knowsPeers'
    | 'embedded'
    | 'freeswitch'
    | 'calls'
    | 'lease'
    | 'gatewayId'
  >,
): PhoneApp {
  const app = createPhoneApp({
    srf: client.srf,
    ...parts,
    log: log.child({ part: 'phone' }),
    ...config.phone,
  });
  client.on('up', () => app.sipServerUp());
  client.on('away', () => app.sipServerAway());
  client.on('lost', () => app.sipServerLost());
  client.on('back', () => app.sipServerBack());
  return app;
}

async function startFreeswitches(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { media, metrics }: Pick<Parts, 'media' | 'metrics'>,
  clients: readonly SipClient[],
  dialogs: Pick<Parameters<typeof startFreeswitch>[0], 'sipServers' | 'embedded' | 'left' | 'onChanged'>,
): Promise<Awaited<ReturnType<typeof startFreeswitch>> | undefined> {
  if (config.freeswitch.servers.length === 0) return undefined;
  const freeswitch = await startFreeswitch({
    srf: () => (clients.find(({ connected }) => connected) ?? clients[0]!).srf,
    sipReachable: () => anyReachable(clients),
    plane: media,
    ...dialogs,
    ...config.freeswitch,
    gatewayId: gatewayId(config.dataDir),
    // FreeSWITCH reaches the media plane in the private network.
    ...(config.publicIp !== undefined && { rtpHost: config.rtp.host }),
    log: log.child({ part: 'freeswitch' }),
  });
  measureFreeswitch(metrics, () => freeswitch.status());
  teardown.add('freeswitch', () => freeswitch.stop());
  return freeswitch;
}

/** Whether any SIP server can be reached. Waits for those that are still connecting. */
function anyReachable(clients: readonly SipClient[]): Promise<boolean> {
  const tries = clients.map(async (client) => {
    if (!(await client.reachable())) throw new Error('The SIP server cannot be reached.');
  });
  return Promise.any(tries).then(
    () => true,
    () => false,
  );
}

/** Stays the same over restarts, and differs between gateways that share a FreeSWITCH. */
function gatewayId(dataDir: string): string {
  const identity = `${hostname()}:${resolve(dataDir)}`;
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
