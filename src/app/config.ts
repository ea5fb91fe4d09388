import { getHeapStatistics } from 'node:v8';
import { cleanEnv, num, str } from 'envalid';
import { KNOWN_SCANNERS } from '../sip-server/index.js';
import {
  type Account,
  accounts,
  addresses,
  agentNames,
  asRanges,
  cidrs,
  headerNames,
  homer,
  httpUrl,
  listenPort,
  PHONE_CODECS,
  phoneCodecs,
  portRange,
  positive,
  server,
  servers,
  turnUrls,
  wholeNumber,
  wholeSeconds,
} from './config-values.js';

/** Used, with a warning, when no account is configured. */
export const DEVELOPMENT_ACCOUNT: Account = { id: '9900000', user: 'patchbay', password: 'patchbay' };

const optional = str({ default: undefined });

const SPEC = {
  PATCHBAY_HTTP_HOST: str({ default: '127.0.0.1' }),
  PATCHBAY_HTTP_PORT: listenPort({ default: 8080 }),
  PATCHBAY_TRUSTED_PROXIES: cidrs({ default: [] }),
  PATCHBAY_ACCOUNTS: accounts({ default: undefined }),
  PATCHBAY_TOKEN_SECRET: optional,
  PATCHBAY_SIP_HOST: addresses({ default: ['127.0.0.1'] }),
  PATCHBAY_SIP_PORT: listenPort({ default: 5060 }),
  PATCHBAY_SIP_TLS_PORT: listenPort({ default: 5061 }),
  PATCHBAY_SIP_TLS_CERT: optional,
  PATCHBAY_SIP_TLS_KEY: optional,
  PATCHBAY_SIP_TLS_CA: optional,
  PATCHBAY_SIP_TLS_VERIFY: str({ default: 'yes', choices: ['yes', 'no'] }),
  PATCHBAY_SIP_ALLOW: cidrs({ default: [] }),
  PATCHBAY_SIP_RATE: positive({ default: 2000 }),
  PATCHBAY_SIP_SCANNERS: agentNames({ default: KNOWN_SCANNERS }),
  PATCHBAY_SIP_APPS: server({ default: undefined }),
  PATCHBAY_SIP_ROUTER: httpUrl({ default: undefined }),
  PATCHBAY_HEP: homer({ default: undefined }),
  PATCHBAY_RTP_HOST: str({ default: '127.0.0.1' }),
  PATCHBAY_RTP_PORTS: portRange({ default: [20_000, 29_999] }),
  PATCHBAY_RTP_ASYMMETRIC: cidrs({ default: [] }),
  PATCHBAY_WEBRTC_HOST: str({ default: '127.0.0.1' }),
  PATCHBAY_WEBRTC_PORT: listenPort({ default: 7000 }),
  PATCHBAY_PUBLIC_IP: optional,
  PATCHBAY_TURN_URLS: turnUrls({ default: [] }),
  PATCHBAY_TURN_SECRET: optional,
  PATCHBAY_DATA_DIR: str({ default: './data' }),
  PATCHBAY_BACKUPS: wholeNumber({ default: 3 }),
  PATCHBAY_DRACHTIO: servers({ default: [] }),
  PATCHBAY_DRACHTIO_GRACE: positive({ default: 30 }),
  PATCHBAY_FREESWITCH: servers({ default: [] }),
  PATCHBAY_FREESWITCH_FALLBACK: str({ default: 'none', choices: ['none', 'direct'] }),
  PATCHBAY_LOG_LEVEL: str({
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  }),
  PATCHBAY_API_RATE: num({ default: 1000 }),
  PATCHBAY_MEMORY_MB: positive({ default: undefined }),
  PATCHBAY_ACCOUNT_MEMORY_MB: positive({ default: undefined }),
  PATCHBAY_SESSION_HOURS: positive({ default: 9 }),
  PATCHBAY_USAGE_DAYS: positive({ default: 400 }),
  PATCHBAY_WEBHOOK_ALLOW: cidrs({ default: [] }),
  PATCHBAY_WEBHOOK_DENY: cidrs({ default: [] }),
  PATCHBAY_DRAIN_SECONDS: num({ default: 30 }),
  PATCHBAY_MEDIA_TIMEOUT: num({ default: 30 }),
  PATCHBAY_PHONE_CODECS: phoneCodecs({ default: PHONE_CODECS }),
  PATCHBAY_HELD_AUDIO: str({ default: 'drop', choices: ['drop', 'pass'] }),
  PATCHBAY_OPUS_DTX: str({ default: 'off', choices: ['off', 'on'] }),
  PATCHBAY_TOKEN_HEADERS: headerNames({ default: ['X-Participant-Token'] }),
  PATCHBAY_SHOWN_HEADERS: headerNames({ default: [] }),
  PATCHBAY_SIP_TRUST: cidrs({ default: [] }),
  PATCHBAY_SIP_TRANSFERS: str({ default: 'refuse', choices: ['refuse', 'accept'] }),
  PATCHBAY_SESSION_EXPIRES: num({ default: 1800 }),
  PATCHBAY_MIN_SE: wholeSeconds({ default: 90 }),
  PATCHBAY_MAX_CALL_SECONDS: num({ default: 0 }),
  PATCHBAY_MAX_CALLS: wholeNumber({ default: 0 }),
  PATCHBAY_MAX_CALLS_PER_ACCOUNT: wholeNumber({ default: undefined }),
  PATCHBAY_MAX_CALLS_PER_SECOND: wholeNumber({ default: 0 }),
};

type Environment = Record<string, string | undefined>;

/** Configuration could not be read; the message names each variable and what is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** TLS is served when there is a certificate with its key. */
function tlsFiles(port: number, certFile: string | undefined, keyFile: string | undefined) {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError('PATCHBAY_SIP_TLS_CERT and PATCHBAY_SIP_TLS_KEY: one needs the other');
  }
  return { port, certFile, keyFile };
}

/** Pages are told of a TURN server when its secret is known. */
function turnServer(urls: readonly string[], secret: string | undefined) {
  if (urls.length === 0 && secret === undefined) return undefined;
  if (urls.length === 0 || secret === undefined) {
    throw new ConfigError('PATCHBAY_TURN_URLS and PATCHBAY_TURN_SECRET: one needs the other');
  }
  return { urls, secret };
}

const MEBIBYTE = 1_048_576;

/**
 * Bounds in bytes of what the core keeps. It is half of what there is at the peak of a start, and calls need memory
 * too: a quarter of the heap is left to it by default, and no more than two fifths may be.
 */
function memoryLimits(allMb: number | undefined, accountMb: number | undefined) {
  const heap = getHeapStatistics().heap_size_limit;
  const bytes = allMb === undefined ? Math.floor(heap / 4) : allMb * MEBIBYTE;
  if (bytes > 0.4 * heap) {
    const heapMb = Math.floor(heap / MEBIBYTE);
    throw new ConfigError(
      `PATCHBAY_MEMORY_MB: at most two fifths of the JavaScript heap, which is ${heapMb} MB; ` +
        'NODE_OPTIONS=--max-old-space-size=<MB> makes that larger',
    );
  }
  return { bytes, bytesPerAccount: accountMb === undefined ? bytes / 2 : accountMb * MEBIBYTE };
}

/**
 * How many phones and pages one account may have connected. Unless the operator says: half of all that there may be,
 * when there are several accounts, so that none shuts the others out.
 */
function devicesPerAccount(given: number | undefined, maxCalls: number, accounts: number): number {
  const calls = given ?? (accounts > 1 ? Math.ceil(maxCalls / 2) : 0);
  return calls === 0 ? Number.POSITIVE_INFINITY : calls;
}

/** The whole configuration, typed and validated. */
export type Config = ReturnType<typeof readConfig>;

/**
 * Reads the environment. Empty variables count as unset.
 * @throws ConfigError naming every variable that is wrong
 */
export function readConfig(environment: Environment) {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const env = cleanEnv(given, SPEC, {
    reporter: ({ errors }) => {
      const wrong = Object.entries(errors).map(([name, error]) => `${name}: ${error.message}`);
      if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
    },
  });
  const accountsGiven = env.PATCHBAY_ACCOUNTS ?? [DEVELOPMENT_ACCOUNT];
  return {
    http: { host: env.PATCHBAY_HTTP_HOST, port: env.PATCHBAY_HTTP_PORT },
    /** Whose word on where a request comes from is taken. */
    trustedProxies: env.PATCHBAY_TRUSTED_PROXIES,
    accounts: accountsGiven,
    devicesPerAccount: devicesPerAccount(
      env.PATCHBAY_MAX_CALLS_PER_ACCOUNT,
      env.PATCHBAY_MAX_CALLS,
      accountsGiven.length,
    ),
    /** Requests of each account; absent: as many as they like. */
    rateLimit: env.PATCHBAY_API_RATE > 0 ? { requests: env.PATCHBAY_API_RATE } : undefined,
    lifetimes: {
      sessionLifetimeMs: env.PATCHBAY_SESSION_HOURS * 3_600_000,
      participantLifetimeMs: env.PATCHBAY_SESSION_HOURS * 3_600_000,
    },
    memory: memoryLimits(env.PATCHBAY_MEMORY_MB, env.PATCHBAY_ACCOUNT_MEMORY_MB),
    usage: {
      retentionMs: env.PATCHBAY_USAGE_DAYS * 86_400_000,
      webhooks: {
        targets: { allow: asRanges(env.PATCHBAY_WEBHOOK_ALLOW), deny: asRanges(env.PATCHBAY_WEBHOOK_DENY) },
      },
    },
    /** Absent: generated once and kept in the data folder. */
    tokenSecret: env.PATCHBAY_TOKEN_SECRET,
    sip: {
      hosts: env.PATCHBAY_SIP_HOST,
      port: env.PATCHBAY_SIP_PORT,
      tls: tlsFiles(env.PATCHBAY_SIP_TLS_PORT, env.PATCHBAY_SIP_TLS_CERT, env.PATCHBAY_SIP_TLS_KEY),
      /** How peers to which the SIP server opens TLS connections are verified. */
      tlsPeers: { verify: env.PATCHBAY_SIP_TLS_VERIFY === 'yes', caFile: env.PATCHBAY_SIP_TLS_CA },
      allow: env.PATCHBAY_SIP_ALLOW,
      /** That one peer may send. */
      messagesPerSecond: env.PATCHBAY_SIP_RATE,
      /** User-Agents that get no answer. */
      scanners: env.PATCHBAY_SIP_SCANNERS,
      /** Where other applications may connect to the SIP server; absent: nowhere. */
      apps: env.PATCHBAY_SIP_APPS,
      /** URL that is asked what becomes of new requests. */
      router: env.PATCHBAY_SIP_ROUTER,
      /** Homer server that gets a copy of every SIP message. */
      capture: env.PATCHBAY_HEP,
    },
    /** 0: as much as can be done. */
    admission: {
      maxCalls: env.PATCHBAY_MAX_CALLS,
      maxCallsPerSecond: env.PATCHBAY_MAX_CALLS_PER_SECOND,
    },
    rtp: {
      host: env.PATCHBAY_RTP_HOST,
      ports: env.PATCHBAY_RTP_PORTS,
      /** Networks of phones that are sent to where their SDP says, wherever their packets come from. */
      asymmetric: env.PATCHBAY_RTP_ASYMMETRIC,
    },
    webrtc: { host: env.PATCHBAY_WEBRTC_HOST, port: env.PATCHBAY_WEBRTC_PORT },
    publicIp: env.PATCHBAY_PUBLIC_IP,
    /** Absent: pages are told of no TURN server. */
    turn: turnServer(env.PATCHBAY_TURN_URLS, env.PATCHBAY_TURN_SECRET),
    dataDir: env.PATCHBAY_DATA_DIR,
    /** Hourly copies of the database that are kept. */
    backups: env.PATCHBAY_BACKUPS,
    drachtio: env.PATCHBAY_DRACHTIO,
    /** How long calls are kept while the connection to their SIP server is away. */
    drachtioGraceMs: env.PATCHBAY_DRACHTIO_GRACE * 1000,
    freeswitch: {
      servers: env.PATCHBAY_FREESWITCH,
      fallbackToDirect: env.PATCHBAY_FREESWITCH_FALLBACK === 'direct',
    },
    logLevel: env.PATCHBAY_LOG_LEVEL,
    drainMs: env.PATCHBAY_DRAIN_SECONDS * 1000,
    mediaTimeoutMs: env.PATCHBAY_MEDIA_TIMEOUT * 1000,
    /** Those that phones may use, in the order in which they are offered. */
    phoneCodecs: env.PATCHBAY_PHONE_CODECS,
    /** What phones send while they hold goes to the others. */
    passHeldAudio: env.PATCHBAY_HELD_AUDIO === 'pass',
    /** Browsers and phones are asked to stop sending in silence. */
    opusDtx: env.PATCHBAY_OPUS_DTX === 'on',
    phone: {
      tokenHeaders: env.PATCHBAY_TOKEN_HEADERS,
      shownHeaders: env.PATCHBAY_SHOWN_HEADERS,
      trustedPeers: env.PATCHBAY_SIP_TRUST,
      acceptTransfers: env.PATCHBAY_SIP_TRANSFERS === 'accept',
      sessionExpiresS: env.PATCHBAY_SESSION_EXPIRES,
      minSessionS: env.PATCHBAY_MIN_SE,
      maxCallMs: env.PATCHBAY_MAX_CALL_SECONDS * 1000,
    },
  };
}
