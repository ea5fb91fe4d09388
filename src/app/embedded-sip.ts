import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Config } from './read-config.js';
import type { ServerAddress } from './config-values.js';
import type { LoadControl } from './load/index.js';
import {
  type HttpRouter,
  httpRouter,
  type ListenerOptions,
  type SipServer,
  startSipServer,
  type TlsPeerOptions,
} from '../sip-server/index.js';
import { describeError } from '../shared/index.js';
import { explainListenError, StartError } from './start-error.js';
import type { CoreEvents, DeviceGate, DirectionQuality } from '../core/index.js';
import type { TraceRing } from '../calls/index.js';
import { APP_TAG, carriesToken, type FailedCallReports, noRoom } from '../devices/phone/index.js';
import type { Descriptors } from './sockets.js';
import type { Teardown } from './teardown.js';
import type { OwnCalls } from '../trial/index.js';

/** Counters of present sizes; the others are totals. */
const TABLES = ['transactions', 'waiting', 'dialogs', 'proxiedDialogs', 'connections', 'apps'];

/** Most SIP connections at once; fewer if the process may not have four times as many file descriptors. */
const MAX_CONNECTIONS = 4096;

interface Parts {
  readonly gate: DeviceGate;
  readonly metrics: Registry;
  readonly load: LoadControl;
  readonly descriptors: Descriptors;
  readonly failedCallReports: FailedCallReports;
  readonly ownCalls: OwnCalls;
  /** Undefined: no messages are kept. */
  readonly ring: TraceRing | undefined;
  /** Dialogs that the previous gateway left. */
  readonly restored: readonly object[];
  readonly onDialogChanged: (dialogId: string) => void;
  /** Whether requests may be sent in calls now. */
  readonly mayAct: () => boolean;
}

/** Where the phone application connects to the embedded SIP server, and what it needs from that beyond drachtio's protocol. */
type EmbeddedSip = ServerAddress &
  Pick<SipServer, 'hasLostConnection' | 'savedDialog' | 'takeOver' | 'giveAway'> & {
    /** Sends what was measured of a call to the capture server. */
    captureQuality(event: CoreEvents['measured'][0]): void;
  };

/** Starts the embedded SIP server as configured. */
export async function startEmbeddedSip(
  config: Config,
  log: Logger,
  teardown: Teardown,
  {
    gate,
    metrics,
    load: { admission },
    descriptors,
    failedCallReports,
    ownCalls,
    ring,
    restored,
    onDialogChanged,
    mayAct,
  }: Parts,
): Promise<EmbeddedSip> {
  const { allow, scanners, messagesPerSecond, capture, apps, router } = config.sip;
  const admin = apps ?? { host: '127.0.0.1', port: 0, secret: randomBytes(16).toString('hex') };
  const sipLog = log.child({ part: 'sip' });
  const server = await startSipServer({
    listeners: await listenersOf(config.sip),
    tlsPeers: await tlsPeersOf(config.sip),
    admin,
    // New calls always go to the gateway's own application, never to others.
    homeTag: APP_TAG,
    router: routerOf(router, sipLog, teardown)?.decide,
    allow,
    scanners,
    isOwnSocket: (remote) => ownCalls.isOwnSocket(remote),
    exempts: (request) => carriesToken(request, config.phone.tokenHeaders, gate),
    publicIp: config.publicIp,
    minSessionSeconds: config.phone.minSessionS,
    capture,
    ...(ring && { onMessage: (direction, bytes, path) => ring.message(direction, bytes, path) }),
    maskedHeaders: config.phone.tokenHeaders,
    // A burst may be as large as four seconds' worth.
    limits: {
      messagesPerSecond,
      messageBurst: messagesPerSecond * 4,
      maxConnections: Math.min(MAX_CONNECTIONS, Math.floor(descriptors.limit / 4)),
    },
    admission: {
      // A test call takes no other caller's share; when the gateway is full it is refused as all are.
      admit: (source, isOwn) =>
        isOwn
          ? admission.full
            ? admission.refuse('phone', 'max_calls').retryAfterS
            : undefined
          : admission.admit('phone', source)?.retryAfterS,
      crowded: () => admission.refuse('phone', 'crowded').retryAfterS,
    },
    onNoRoom: (invite) => failedCallReports.foundNoRoom(invite, noRoom()),
    restored,
    onDialogChanged,
    mayAct,
    log: sipLog,
  }).catch((error: unknown) => {
    const isTls = error instanceof Error && 'port' in error && error.port === config.sip.tls?.port;
    const port = isTls ? 'PATCHBAY_SIP_TLS_PORT' : 'PATCHBAY_SIP_PORT';
    throw explainListenError(error, { host: 'PATCHBAY_SIP_HOST', port });
  });
  teardown.add('sip-server', () => server.stop());
  measure(metrics, server);
  return {
    ...server.adminAddress,
    secret: admin.secret,
    hasLostConnection: (dialogId) => server.hasLostConnection(dialogId),
    savedDialog: (dialogId) => server.savedDialog(dialogId),
    takeOver: (dialog) => server.takeOver(dialog),
    giveAway: (dialogId) => server.giveAway(dialogId),
    captureQuality: ({ at, device, quality, formats }) => {
      for (const direction of ['received', 'sent'] as const)
        server.captureQuality(device.externalId, {
          ...qualityReport(quality[direction], formats[direction]?.codecs[0]),
          CORRELATION_ID: device.externalId,
          RTP_SIP_CALL_ID: device.externalId,
          REPORT_TS: at / 1000,
          TYPE: 'HANGUP',
          DIR: direction === 'received' ? 0 : 1,
        });
    },
  };
}

/** By the names that Homer's agents use. */
function qualityReport(quality: DirectionQuality, codec: string | undefined): object {
  return {
    CODEC_NAME: codec,
    TOTAL_PK: quality.packets,
    PACKET_LOSS: quality.lost,
    JITTER: quality.jitterMs,
    RTT: quality.roundTripMs,
    MOS: quality.mos,
  };
}

/** Closed after the server, whose last requests may still wait for the router. */
function routerOf(url: string | undefined, log: Logger, teardown: Teardown): HttpRouter | undefined {
  if (url === undefined) return undefined;
  const router = httpRouter({ url, log });
  teardown.add('sip-router', () => router.close());
  return router;
}

async function listenersOf({ hosts, port, tls }: Config['sip']): Promise<ListenerOptions[]> {
  const plain = hosts.flatMap((host) => [
    { transport: 'udp' as const, host, port },
    { transport: 'tcp' as const, host, port },
  ]);
  if (!tls) return plain;
  const certificate = {
    cert: await configured('PATCHBAY_SIP_TLS_CERT', tls.certFile),
    key: await configured('PATCHBAY_SIP_TLS_KEY', tls.keyFile),
  };
  checkTls('PATCHBAY_SIP_TLS_CERT', tls.certFile, { cert: certificate.cert });
  // Checked together with the certificate, since the key must belong to it.
  checkTls('PATCHBAY_SIP_TLS_KEY', tls.keyFile, certificate);
  return [
    ...plain,
    ...hosts.map((host) => ({ transport: 'tls' as const, host, port: tls.port, tls: certificate })),
  ];
}

async function tlsPeersOf({ tlsPeers: { verify, caFile } }: Config['sip']): Promise<TlsPeerOptions> {
  if (caFile === undefined) return { verify };
  const ca = await configured('PATCHBAY_SIP_TLS_CA', caFile);
  checkTls('PATCHBAY_SIP_TLS_CA', caFile, { ca });
  return { verify, ca };
}

/** @throws StartError that names the variable */
async function configured(variable: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new StartError(`${variable}: the file cannot be read: ${describeError(error)}.`, { cause: error });
  }
}

/** @throws StartError that names the variable */
function checkTls(variable: string, path: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new StartError(`${variable}: ${path} cannot be used: ${describeError(error)}.`, { cause: error });
  }
}

function measure(metrics: Registry, server: SipServer): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_sip_table_size',
    help: 'Entries in the tables of the SIP server',
    labelNames: ['table'],
    registers,
    collect() {
      for (const [kind, size] of Object.entries<number>({ ...server.counters() })) {
        if (TABLES.includes(kind)) this.set({ table: kind }, size);
      }
    },
  });
  new Counter({
    name: 'patchbay_sip_messages_total',
    help: 'SIP messages received, sent and dropped, by cause',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of Object.entries<number>({ ...server.counters() })) {
        if (!TABLES.includes(kind)) this.inc({ kind }, count);
      }
    },
  });
}
