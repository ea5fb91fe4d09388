import { availableParallelism } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { cleanEnv } from 'envalid';
import type { Account } from '../api/index.js';
import { nearestName } from '../shared/index.js';
import { VARIABLES } from './config.js';

/** Used, with a warning, when no account is configured. */
export const DEVELOPMENT_ACCOUNT: Account = { id: '9900000', user: 'patchbay', password: 'patchbay' };

type Environment = Record<string, string | undefined>;

/** Configuration could not be read; the message names each variable and what is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Variables of tests and of production's files, which may be in the gateway's environment too. */
const OTHERS = /^PATCHBAY_(?:TEST_\w+|CHROMIUM|FIREFOX|SECRET)$/;

/** Kubernetes sets such variables in all containers for each Service, and a Service may be called patchbay. */
const isServiceLink = (name: string, value: string | undefined): boolean =>
  /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_(?:TCP|UDP)(?:_|$)/.test(name) ||
  /^(?:tcp|udp):/.test(value ?? '');

/** A known variable is suggested if no more letters of the name are wrong. */
const MISTAKES = 4;

/** A line for each unknown variable with our prefix, which is most often a mistyped name. */
function unknownVariables(environment: Environment): string[] {
  const known = Object.keys(VARIABLES);
  return Object.entries(environment)
    .filter(
      ([name, value]) => name.startsWith('PATCHBAY_') && !OTHERS.test(name) && !isServiceLink(name, value),
    )
    .filter(([name]) => !known.includes(name))
    .map(([name]) => {
      const meant = nearestName(name, known, MISTAKES);
      const hint = meant === undefined ? 'docs/configuration.md lists all' : `did you mean ${meant}?`;
      return `${name}: there is no such variable; ${hint}`;
    });
}

/** Undefined without certificate and key: then there is no TLS. */
function tlsFiles(port: number, certFile: string | undefined, keyFile: string | undefined) {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError('PATCHBAY_SIP_TLS_CERT and PATCHBAY_SIP_TLS_KEY: set both or neither');
  }
  return { port, certFile, keyFile };
}

/** Undefined without URLs and secret: then pages get no TURN server. */
function turnServer(urls: readonly string[], secret: string | undefined) {
  if (urls.length === 0 && secret === undefined) return undefined;
  if (urls.length === 0 || secret === undefined) {
    throw new ConfigError('PATCHBAY_TURN_URLS and PATCHBAY_TURN_SECRET: set both or neither');
  }
  return { urls, secret };
}

/** The accounts that see the whole gateway; of itself, only the development account does. */
function operatorsAmong(
  accounts: readonly Account[],
  given: readonly string[] | undefined,
): readonly string[] {
  const known = accounts.map(({ id }) => id);
  if (given === undefined) return known.filter(() => accounts.includes(DEVELOPMENT_ACCOUNT));
  const unknown = given.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw new ConfigError(
      `PATCHBAY_OPERATORS: ${unknown} is not the id of an account; those of PATCHBAY_ACCOUNTS are ${known.join(', ')}`,
    );
  }
  return given;
}

/** Media hosts, if their number is not configured. */
const MAX_HOSTS = 8;

const MEBIBYTE = 1_048_576;

/**
 * Limits of the core's memory. Loading takes twice that during the start, and calls need memory too: the default is a
 * quarter of the heap, and the maximum two fifths.
 */
function memoryLimits(allMb: number | undefined, accountMb: number | undefined) {
  const heap = getHeapStatistics().heap_size_limit;
  const bytes = allMb === undefined ? Math.floor(heap / 4) : allMb * MEBIBYTE;
  if (bytes > 0.4 * heap) {
    const heapMb = Math.floor(heap / MEBIBYTE);
    throw new ConfigError(
      `PATCHBAY_MEMORY_MB: at most two fifths of the JavaScript heap, which is ${heapMb} MB; ` +
        'NODE_OPTIONS=--max-old-space-size=<MB> enlarges it',
    );
  }
  return { bytes, bytesPerAccount: accountMb === undefined ? bytes / 2 : accountMb * MEBIBYTE };
}

/**
 * How many phones and pages one account may have connected. With several accounts the default is half of all, so that
 * no account can shut the others out.
 */
function devicesPerAccount(given: number | undefined, maxCalls: number, accounts: number): number {
  const calls = given ?? (accounts > 1 ? Math.ceil(maxCalls / 2) : 0);
  return calls === 0 ? Number.POSITIVE_INFINITY : calls;
}

/** The whole configuration, typed and validated. */
export type Config = ReturnType<typeof readConfig>;

/**
 * Reads the environment. Empty variables count as unset.
 * @throws ConfigError naming every variable that is wrong or unknown
 */
export function readConfig(environment: Environment) {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const env = cleanEnv(given, VARIABLES, {
    reporter: ({ errors }) => {
      const wrong = Object.entries(errors).map(([name, error]) => `${name}: ${error.message}`);
      wrong.push(...unknownVariables(given));
      if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
    },
  });
  const accountsGiven = env.PATCHBAY_ACCOUNTS ?? [DEVELOPMENT_ACCOUNT];
  return {
    http: { host: env.PATCHBAY_HTTP_HOST, port: env.PATCHBAY_HTTP_PORT },
    /** Proxies whose `Forwarded` and `X-Forwarded-For` are believed. */
    trustedProxies: env.PATCHBAY_TRUSTED_PROXIES,
    metricsFor: env.PATCHBAY_METRICS_ALLOW.length > 0 ? env.PATCHBAY_METRICS_ALLOW : ('direct' as const),
    docsFor: env.PATCHBAY_DOCS,
    accounts: accountsGiven,
    /** Ids of accounts that see the whole gateway. */
    operators: operatorsAmong(accountsGiven, env.PATCHBAY_OPERATORS),
    devicesPerAccount: devicesPerAccount(
      env.PATCHBAY_MAX_CALLS_PER_ACCOUNT,
      env.PATCHBAY_MAX_CALLS,
      accountsGiven.length,
    ),
    /** For each account; undefined: no limit. */
    rateLimit: env.PATCHBAY_API_RATE > 0 ? { requests: env.PATCHBAY_API_RATE } : undefined,
    lifetimes: {
      sessionLifetimeMs: env.PATCHBAY_SESSION_HOURS * 3_600_000,
      participantLifetimeMs: env.PATCHBAY_SESSION_HOURS * 3_600_000,
    },
    memory: memoryLimits(env.PATCHBAY_MEMORY_MB, env.PATCHBAY_ACCOUNT_MEMORY_MB),
    usage: {
      retentionMs: env.PATCHBAY_USAGE_DAYS * 86_400_000,
      webhooks: {
        targets: { allow: env.PATCHBAY_WEBHOOK_ALLOW, deny: env.PATCHBAY_WEBHOOK_DENY },
      },
    },
    /** Undefined: generated once and kept in the data folder. */
    tokenSecret: env.PATCHBAY_TOKEN_SECRET,
    /** Whether accounts may try applications. */
    voiceApiTrial: (env.PATCHBAY_VOICE_API_TRIAL ?? (env.PATCHBAY_ACCOUNTS ? 'off' : 'on')) === 'on',
    sip: {
      hosts: env.PATCHBAY_SIP_HOST,
      port: env.PATCHBAY_SIP_PORT,
      tls: tlsFiles(env.PATCHBAY_SIP_TLS_PORT, env.PATCHBAY_SIP_TLS_CERT, env.PATCHBAY_SIP_TLS_KEY),
      /** How to verify servers to which the SIP server opens TLS connections. */
      tlsPeers: { verify: env.PATCHBAY_SIP_TLS_VERIFY === 'yes', caFile: env.PATCHBAY_SIP_TLS_CA },
      allow: env.PATCHBAY_SIP_ALLOW,
      /** For each peer. */
      messagesPerSecond: env.PATCHBAY_SIP_RATE,
      /** User-Agents that get no answer. */
      scanners: env.PATCHBAY_SIP_SCANNERS,
      /** Where other applications connect to the SIP server; undefined: nowhere. */
      apps: env.PATCHBAY_SIP_APPS,
      /** URL of the HTTP server that decides which application gets a new request. */
      router: env.PATCHBAY_SIP_ROUTER,
      /** Homer server that gets a copy of every SIP message. */
      capture: env.PATCHBAY_HEP,
      /** For the messages of calls; 0: none are kept. */
      traceBytes: env.PATCHBAY_TRACE_MB * MEBIBYTE,
    },
    /** 0: no fixed limit. */
    admission: {
      maxCalls: env.PATCHBAY_MAX_CALLS,
      maxCallsPerSecond: env.PATCHBAY_MAX_CALLS_PER_SECOND,
    },
    rtp: {
      host: env.PATCHBAY_RTP_HOST,
      ports: env.PATCHBAY_RTP_PORTS,
      /** Networks of phones that receive at the address in their SDP, not where their packets come from. */
      asymmetric: env.PATCHBAY_RTP_ASYMMETRIC,
    },
    webrtc: { host: env.PATCHBAY_WEBRTC_HOST, port: env.PATCHBAY_WEBRTC_PORT },
    /** 0: the media plane is in this process. */
    mediaHosts: env.PATCHBAY_MEDIA_HOSTS ?? Math.min(MAX_HOSTS, availableParallelism()),
    handoverMs: env.PATCHBAY_HANDOVER_SECONDS * 1000,
    publicIp: env.PATCHBAY_PUBLIC_IP,
    /** Undefined: pages get no TURN server. */
    turn: turnServer(env.PATCHBAY_TURN_URLS, env.PATCHBAY_TURN_SECRET),
    dataDir: env.PATCHBAY_DATA_DIR,
    /** Undefined: the database is in the data folder. */
    postgres: env.PATCHBAY_STORE,
    /** How the gateways of a database reach each other, and how long one that is cut off keeps its devices. */
    cluster: {
      host: env.PATCHBAY_CLUSTER_HOST,
      port: env.PATCHBAY_CLUSTER_PORT,
      edgeLeaseMs: env.PATCHBAY_EDGE_LEASE * 1000,
      takesOver: env.PATCHBAY_TAKE_OVER === 'yes',
    },
    /** How many hourly copies of the database to keep. */
    backups: env.PATCHBAY_BACKUPS,
    drachtio: env.PATCHBAY_DRACHTIO,
    /** How long calls are kept while the connection to their SIP server is lost. */
    drachtioGraceMs: env.PATCHBAY_DRACHTIO_GRACE * 1000,
    freeswitch: {
      servers: env.PATCHBAY_FREESWITCH,
      fallbackToDirect: env.PATCHBAY_FREESWITCH_FALLBACK === 'direct',
    },
    logLevel: env.PATCHBAY_LOG_LEVEL,
    drainMs: env.PATCHBAY_DRAIN_SECONDS * 1000,
    /** How long a program without a socket is kept. */
    programGraceMs: env.PATCHBAY_PROGRAM_GRACE * 1000,
    mediaTimeoutMs: env.PATCHBAY_MEDIA_TIMEOUT * 1000,
    /** Codecs that phones may use, in the order in which an offer names them. */
    phoneCodecs: env.PATCHBAY_PHONE_CODECS,
    /** Whether others hear what a phone sends while it holds. */
    passHeldAudio: env.PATCHBAY_HELD_AUDIO === 'pass',
    /** Whether browsers and phones are asked to send nothing in silence. */
    opusDtx: env.PATCHBAY_OPUS_DTX === 'on',
    /** Whether phones hear all talkers at about the same loudness. */
    levelling: env.PATCHBAY_LEVELLING === 'on',
    /** Whose noise phones do not hear, unless participants say otherwise, and of how many participants. */
    noiseSuppression: {
      kinds: env.PATCHBAY_NOISE_SUPPRESSION === 'phones' ? ['phone'] : [],
      max: env.PATCHBAY_NOISE_SUPPRESSION_MAX,
    },
    announcements: {
      uploads: {
        maxBytes: env.PATCHBAY_MEDIA_UPLOAD_MB * MEBIBYTE,
        accountBytes: env.PATCHBAY_MEDIA_ACCOUNT_MB * MEBIBYTE,
      },
      cacheBytes: env.PATCHBAY_MEDIA_CACHE_MB * MEBIBYTE,
      maxSeconds: env.PATCHBAY_MEDIA_MAX_SECONDS,
      players: {
        players: env.PATCHBAY_MAX_ANNOUNCEMENTS,
        playersPerAccount:
          env.PATCHBAY_MAX_ANNOUNCEMENTS_PER_ACCOUNT ??
          Math.ceil(env.PATCHBAY_MAX_ANNOUNCEMENTS / (accountsGiven.length > 1 ? 2 : 1)),
      },
      waiting: { music: env.PATCHBAY_WAITING_MUSIC, when: env.PATCHBAY_WAITING_WHEN },
      joinTones: env.PATCHBAY_JOIN_TONES === 'on',
    },
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
