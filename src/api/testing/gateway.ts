import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiController, Client, Environment } from '@bandwidth/webrtc';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { type Core, createCore, MemoryStore, PatchbayError } from '../../core/index.js';
import { feedFromCore } from '../../events/index.js';
import { systemClock } from '../../shared/index.js';
import { measureRequests } from '../../app/metrics/traffic.js';
import { type ApiOptions, createApi, type GatewayReports } from '../index.js';

export const ACCOUNT = { id: '9900000', user: 'patchbay', password: 'secret: ü' };
export const OTHER_ACCOUNT = { id: '9900001', user: 'other', password: 'other' };

/** A REST API over a core, listening on a free port. */
export interface TestGateway {
  readonly core: Core;
  readonly server: Server;
  /** URL without a path. */
  readonly url: string;
  /** Bandwidth's published client, unmodified. */
  readonly client: ApiController;
  /** How many read the events of `ACCOUNT`. */
  eventReaders(): number;
  /** Its log, one JSON line each. */
  readonly logged: readonly string[];
  clientOf(account: { readonly user: string; readonly password: string }): ApiController;
  /** Requests a path under `/v1/accounts/{accountId}` with the account's credentials. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  stop(): Promise<void>;
}

/** Reports nothing, and refuses no callback URL. */
export const NO_USAGE = {
  query: () => Promise.resolve({ items: [], totals: [] }),
  callbackRefusal: () => Promise.resolve(undefined),
  failedCalls: () => [],
};

const noCall = (): Promise<never> =>
  Promise.reject(new PatchbayError('PATCHBAY_CALL_NOT_FOUND', 'There is no such call.'));

/** Has no calls. */
const NO_CALLS = {
  list: () => Promise.resolve({ items: [] }),
  call: noCall,
  trace: noCall,
  deleteTrace: noCall,
  quality: noCall,
};

const noProgram = (): PatchbayError =>
  new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'This gateway connects to no program.');

/** Connects to no program. */
const NO_PROGRAMS = {
  connect: () => Promise.reject(noProgram()),
  program: () => {
    throw noProgram();
  },
  disconnect: () => Promise.reject(noProgram()),
};

/** What the gateway tells of itself. */
const REPORTS: GatewayReports = {
  version: '1.2.3',
  own: () => ({ devices: { browser: 2, phone: 1 }, maxDevices: 55, webhooks: { waiting: 3, failing: 1 } }),
  whole: () => ({
    startedAt: '2026-11-30T00:00:00.000Z',
    load: { state: 'open', busy: 0.5, delayMs: 1.5, processors: 0.75, devices: { browser: 4, phone: 5 } },
    gateways: [{ id: 'g', address: '192.0.2.11:7100', leads: true, connected: true, devices: 9 }],
    mediaHosts: [
      { id: 'h', devices: 3, busy: 0, delayMs: 0, mixLatenessMs: 0, framesSkipped: 0, isRetired: false },
    ],
    mediaHostsLost: 0,
    sip: { server: 'embedded', connections: [{ address: 'embedded', connected: true }] },
    freeswitch: [],
    ports: { http: '127.0.0.1:8080', webrtc: 7000, rtp: { first: 20_000, last: 29_999, used: 10 } },
    certificates: [{ usedFor: 'SIP', endsAt: '2027-01-01T00:00:00.000Z' }],
    webhooks: { waiting: 3, failing: 1, givenUp: 0, dropped: 0 },
    store: { writable: true, waiting: 0 },
    warnings: [{ code: 'NO_TLS', message: 'It is so.', advice: 'Do this.' }],
  }),
};

/** Plays nothing, and has no files. */
export const NO_MEDIA = {
  check: () => undefined,
  play: () => ({ mediaState: 'PLAYING', state: 'LOADING' }) as const,
  stop: () => ({ mediaState: 'STOPPED' }) as const,
  state: () => ({ mediaState: 'STOPPED' }) as const,
  uploads: () => [],
  upload: () => Promise.reject(new PatchbayError('PATCHBAY_BAD_MEDIA', 'It cannot be played.')),
  readUpload: () => {
    throw new PatchbayError('PATCHBAY_MEDIA_NOT_FOUND', 'There is no such file.');
  },
  deleteUpload: () => Promise.reject(new PatchbayError('PATCHBAY_MEDIA_NOT_FOUND', 'There is no such file.')),
};

const noTestCall = (): never => {
  throw new PatchbayError('PATCHBAY_NOT_FOUND', 'There is no such test call.');
};

/** Calls nobody. */
const NO_TEST_CALLS = { start: noTestCall, get: noTestCall, list: () => [], end: noTestCall };

/** What the documents say of the gateway. */
const ABOUT = {
  version: '1.2.3',
  sessionHours: 7,
  requestsPerSecond: 1_234,
  bytes: 64 * 1_048_576,
  bytesPerAccount: 8 * 1_048_576,
  devicesPerAccount: 55,
};

export async function startApi(options: Partial<ApiOptions> = {}): Promise<TestGateway> {
  const logged: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => logged.push(line) });
  const core = createCore({ tokenSecret: 's'.repeat(32), store: new MemoryStore(), log });
  const metrics = new Registry();
  const feed = feedFromCore(core, systemClock);
  const api = createApi({
    core,
    usage: NO_USAGE,
    programs: NO_PROGRAMS,
    media: NO_MEDIA,
    events: feed,
    testCalls: NO_TEST_CALLS,
    calls: NO_CALLS,
    accounts: [ACCOUNT, OTHER_ACCOUNT],
    tokenSecret: 's'.repeat(32),
    operators: [ACCOUNT.id],
    gateway: REPORTS,
    log,
    metrics,
    onAnswered: measureRequests(metrics),
    readiness: () => 'ready',
    about: ABOUT,
    ...options,
  });
  await api.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const clientOf = (account: { readonly user: string; readonly password: string }) =>
    new ApiController(
      new Client({
        environment: Environment.Custom,
        baseUrl: `${url}/v1`,
        basicAuthUserName: account.user,
        basicAuthPassword: account.password,
      }),
    );
  return {
    core,
    server: api.server,
    url,
    client: clientOf(ACCOUNT),
    clientOf,
    eventReaders: () => feed.readersOf(ACCOUNT.id),
    logged,
    ask: (path, init) => {
      const headers = new Headers(init?.headers);
      if (!headers.has('authorization')) headers.set('authorization', basic(ACCOUNT));
      return fetch(`${url}/v1/accounts/${ACCOUNT.id}${path}`, { ...init, headers });
    },
    stop: async () => {
      await api.close();
      await core.stop();
    },
  };
}

/** An `Authorization` header. */
export function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
