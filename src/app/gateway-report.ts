import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { GatewayReports } from '../api/index.js';
import type { Desk } from '../cluster/index.js';
import type { Core } from '../core/index.js';
import type { MediaPlane } from '../media/index.js';
import type { Store } from '../store/index.js';
import type { Usage } from '../usage/index.js';
import type { LoadControl } from './load/index.js';
import type { Phones } from './phones.js';
import { type Config, DEVELOPMENT_ACCOUNT } from './read-config.js';
import { VERSION } from './version.js';
import { configWarnings } from './warnings.js';

interface Parts {
  readonly core: Core;
  readonly media: MediaPlane;
  readonly usage: Usage;
  readonly store: Store;
  readonly load: LoadControl;
  readonly phones: Phones;
  /** All gateways of the database; empty without PostgreSQL. */
  readonly gateways: () => readonly (ReturnType<Desk['edges']>[number] & { readonly leads: boolean })[];
}

/** What REST tells of the gateway: to an account of its own share, to operators of all of it. */
export async function gatewayReports(
  config: Config,
  { core, media, usage, store, load, phones, gateways }: Parts,
): Promise<GatewayReports> {
  const startedAt = new Date().toISOString();
  const endsAt = await certificateEnd(config.sip.tls?.certFile);
  const hasDevelopmentAccount = config.accounts.includes(DEVELOPMENT_ACCOUNT);
  const { maxCalls } = config.admission;
  return {
    version: VERSION,
    own: (accountId) => ({
      devices: devicesOf(core, accountId),
      ...(config.devicesPerAccount !== Infinity && { maxDevices: config.devicesPerAccount }),
      ...(config.rateLimit && { requestsPerSecond: config.rateLimit.requests }),
      webhooks: usage.webhooksOf(accountId),
    }),
    whole: () => {
      const { devices } = core.counts();
      const { waiting, failing, givenUp, dropped } = usage.webhookCounts();
      const { writable, waiting: writes, backedUpAt } = store.health();
      const [first, last] = config.rtp.ports;
      const { admission, busy, delayMs, processors } = load.now();
      const { uri } = phones.sip();
      return {
        startedAt,
        load: { state: admission, busy, delayMs, processors, devices, ...(maxCalls > 0 && { maxCalls }) },
        gateways: gateways().map(({ id, address, leads, isConnected, awaySince, devices: count }) => ({
          id,
          leads,
          connected: isConnected,
          devices: count,
          ...(address && { address: addressText(address) }),
          ...(awaySince !== undefined && { awaySince: new Date(awaySince).toISOString() }),
        })),
        mediaHosts: media.hostLoads(),
        mediaHostsLost: media.hosts().lost,
        sip: {
          server: config.drachtio.length > 0 ? 'drachtio' : 'embedded',
          connections: phones.sip().connections,
          ...(uri !== undefined && { uri }),
        },
        freeswitch: phones.freeswitch(),
        ports: {
          http: `${config.http.host}:${config.http.port}`,
          webrtc: config.webrtc.port,
          rtp: { first, last, used: 2 * phones.calls() },
        },
        certificates:
          endsAt === undefined ? [] : [{ usedFor: 'SIP', endsAt: new Date(endsAt).toISOString() }],
        webhooks: { waiting, failing, givenUp, dropped },
        store: {
          writable,
          waiting: writes,
          ...(backedUpAt !== undefined && { backedUpAt: new Date(backedUpAt).toISOString() }),
        },
        warnings: configWarnings(config, {
          hasDevelopmentAccount,
          certificateEndsAt: endsAt,
          now: Date.now(),
        }),
      };
    },
  };
}

function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

/** Connected devices of an account, by kind. */
function devicesOf(core: Core, accountId: string): Record<string, number> {
  const counts = Object.fromEntries(Object.keys(core.counts().devices).map((kind) => [kind, 0]));
  for (const id of core.announcements.connected()) {
    const kind = core.participantOf(id)?.accountId === accountId && core.connectedDevice(id)?.kind;
    if (typeof kind === 'string') counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** When the certificate that was loaded ends, in epoch ms. */
async function certificateEnd(file: string | undefined): Promise<number | undefined> {
  return file === undefined ? undefined : Date.parse(new X509Certificate(await readFile(file)).validTo);
}
