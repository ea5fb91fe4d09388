/**
 * The one list of what can be configured, in the groups and the order of `docs/configuration.md`, which is made from it
 * (`npm run docs`).
 */
import { str } from 'envalid';
import { ANNOUNCEMENTS, MEDIA, PHONES, PROGRAMS, SERVERS, SIP } from './config-calls.js';
import {
  accountIds,
  accounts,
  atLeastZero,
  audience,
  cidrs,
  described,
  host,
  listenPort,
  positive,
  postgresUrl,
  wholeNumber,
} from './config-values.js';

const text = str({ default: undefined });

const HTTP = {
  PATCHBAY_HTTP_HOST: described(
    host({ default: '127.0.0.1' }),
    'Address that HTTP listens on: REST under `/v1`, WebSocket of browsers under `/v3/` and of programs under `/program/`, the console under `/`, `/healthz`, `/readyz`, `/metrics`, `/docs`, `/openapi.json`.',
    '0.0.0.0',
    'http://0.0.0.0',
  ),
  PATCHBAY_HTTP_PORT: described(
    listenPort({ default: 8080 }),
    'TCP port of HTTP. 0 lets the system choose; the log line `ready` says which.',
    '80',
    '65536',
  ),
  PATCHBAY_TRUSTED_PROXIES: described(
    cidrs({ default: [] }),
    'Addresses and CIDRs of your HTTP proxies. What they say in `Forwarded` or `X-Forwarded-For` is taken for the address of the client, in limits and in the log. Empty: nobody is believed, and all clients behind a proxy are one address.',
    '127.0.0.1,10.0.0.0/8',
    '10.0.0.0/33',
  ),
  PATCHBAY_METRICS_ALLOW: described(
    cidrs({ default: [] }),
    'Addresses and CIDRs of clients that may read `/metrics`; others get 404. A client behind a proxy of `PATCHBAY_TRUSTED_PROXIES` counts by its own address. Empty: everyone who connects without a proxy.',
    '127.0.0.1,192.0.2.20',
    'prometheus.example',
  ),
  PATCHBAY_DOCS: described(
    audience({ default: 'direct' }),
    'Who may read `/docs` and `/openapi.json`; others get 404. `direct`: everyone who connects without a proxy. `on`: everyone. `off`: nobody. Or addresses and CIDRs of clients, as in `PATCHBAY_METRICS_ALLOW`.',
    'off',
    'private',
  ),
};

const ACCOUNTS = {
  PATCHBAY_ACCOUNTS: described(
    accounts({ default: undefined }),
    'The accounts, as `accountId:user:password`, comma-separated. A password may have colons, but no comma. Empty: a development account (`9900000`, user and password `patchbay`), with a warning in the log.',
    '9900001:acme:s3cret,9900002:globex:other',
    'acme:s3cret',
  ),
  PATCHBAY_OPERATORS: described(
    accountIds({ default: undefined }),
    'Ids of accounts that see the whole gateway in the console and by `GET .../gateway`, comma-separated; others see their own share. Empty: none, except the development account.',
    '9900000',
    'nobody',
  ),
  PATCHBAY_TOKEN_SECRET: described(
    text,
    'Key that signs the participant tokens (HS256). Changing it makes all tokens given out so far invalid, and signs everyone out of the console. Empty: a random one is made at the first start and kept in the data folder (`token-secret`), or in the database of `PATCHBAY_STORE`.',
    'a-long-random-text',
  ),
};

const LIMITS = {
  PATCHBAY_MAX_CALLS: described(
    wholeNumber({ default: 0 }),
    'Phones, pages and programs connected at once; more are refused with 503. 0: as many as the machine can serve.',
    '500',
    'many',
  ),
  PATCHBAY_MAX_CALLS_PER_ACCOUNT: described(
    wholeNumber({ default: undefined }),
    'Phones, pages and programs of one account connected at once. Its further phones get 480, its programs 429, its pages try again. 0: no limit. Empty: half of `PATCHBAY_MAX_CALLS` when there are several accounts, otherwise no limit.',
    '200',
    '-1',
  ),
  PATCHBAY_MAX_CALLS_PER_SECOND: described(
    wholeNumber({ default: 0 }),
    'Phone calls accepted each second, and as many pages and programs; more are refused with 503. 0: as many as the machine can serve.',
    '50',
    '0.5',
  ),
  PATCHBAY_API_RATE: described(
    atLeastZero({ default: 1000 }),
    'REST requests a second that one account may make; more are answered with 429. 0: no limit.',
    '100',
    'fast',
  ),
  PATCHBAY_MEMORY_MB: described(
    positive({ default: undefined }),
    'Estimated MB of the JavaScript heap that sessions, participants, subscriptions, tags and callback URLs of all accounts may take. Beyond it, requests that would add to them get 503; deleting always works. At most two fifths of the heap, which also holds the calls (`NODE_OPTIONS=--max-old-space-size=<MB>` makes it larger). `patchbay_state_bytes` in `/metrics` shows it. Empty: a quarter of the heap.',
    '256',
    '0',
  ),
  PATCHBAY_ACCOUNT_MEMORY_MB: described(
    positive({ default: undefined }),
    'The same for one account; beyond it, its requests get 429. Empty: half of `PATCHBAY_MEMORY_MB`.',
    '64',
    'half',
  ),
};

const DATA = {
  PATCHBAY_DATA_DIR: described(
    str({ default: './data' }),
    'Folder of the database, its copies and the token secret; with `PATCHBAY_STORE` of what belongs to this machine alone. It is made if it is missing. Only one gateway can use it at a time. A folder that cannot be written stops the start.',
    '/var/lib/patchbay',
  ),
  PATCHBAY_STORE: described(
    postgresUrl({ default: undefined }),
    'PostgreSQL database that everything is stored in: see [postgresql.md](postgresql.md). Parameters: `sslmode` (`disable`, `require`: any certificate, `verify-full`), `sslrootcert` (file of the certificates that are believed), `host` (folder of a Unix socket). Empty: a database in the data folder.',
    'postgres://patchbay:s3cret@192.0.2.30:5432/patchbay?sslmode=verify-full',
    'mysql://192.0.2.30/patchbay',
  ),
  PATCHBAY_CLUSTER_HOST: described(
    host({ default: '127.0.0.1' }),
    'Address of this machine by which the other gateways of the same `PATCHBAY_STORE` reach it, in a private network: see [scaling.md](scaling.md). The default is for gateways on one machine.',
    '10.0.0.11',
    'http://10.0.0.11',
  ),
  PATCHBAY_CLUSTER_PORT: described(
    listenPort({ default: 0 }),
    'TCP port on it. 0 lets the system choose; the others find it in the database.',
    '7100',
    '65536',
  ),
  PATCHBAY_EDGE_LEASE: described(
    positive({ default: 10 }),
    'Seconds that a gateway which is cut off from the leader keeps its devices: after that, others may take its calls over.',
    '30',
    '0',
  ),
  PATCHBAY_TAKE_OVER: described(
    str({ default: 'yes', choices: ['yes', 'no'] }),
    '`yes`: phone calls of a gateway that is gone go on at another one of the same database, by re-INVITE. `no`: they end, for carriers that take no re-INVITE from another address.',
    'no',
    'maybe',
  ),
  PATCHBAY_BACKUPS: described(
    wholeNumber({ default: 3 }),
    'Hourly copies of the database that are kept in the data folder. 0: none are made, and none of a `PATCHBAY_STORE`.',
    '24',
    'daily',
  ),
  PATCHBAY_SESSION_HOURS: described(
    positive({ default: 9 }),
    'Hours that sessions, participants and their tokens live.',
    '24',
    '0',
  ),
  PATCHBAY_USAGE_DAYS: described(
    positive({ default: 400 }),
    "Days that usage records are kept, with the caller's number.",
    '90',
    'forever',
  ),
  PATCHBAY_WEBHOOK_ALLOW: described(
    cidrs({ default: [] }),
    'If set, webhooks go to these addresses and CIDRs only.',
    '10.1.0.0/16',
    'example.com',
  ),
  PATCHBAY_VOICE_API_TRIAL: described(
    str({ default: undefined, choices: ['on', 'off'] }),
    'Whether accounts may try their applications against a Voice API that the gateway plays: it then sends events to answer URLs that they give, to where webhooks may be sent. See [voice-api-trial.md](voice-api-trial.md). Empty: `on` with the development account, otherwise `off`.',
    'on',
    'yes',
  ),
  PATCHBAY_WEBHOOK_DENY: described(
    cidrs({ default: [] }),
    'Addresses and CIDRs that webhooks never go to, beside link-local, metadata and multicast addresses. Deny private addresses if you do not trust everyone who may create participants.',
    '10.0.0.0/8,127.0.0.0/8',
    'private',
  ),
};

const PROCESS = {
  PATCHBAY_LOG_LEVEL: described(
    str({ default: 'info', choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] }),
    'Least important level that is logged. The log is JSON lines, and readable text on a terminal.',
    'debug',
    'loud',
  ),
  PATCHBAY_DRAIN_SECONDS: described(
    atLeastZero({ default: 30 }),
    'Seconds that calls in progress have to end after SIGTERM; then they are hung up.',
    '300',
    '5m',
  ),
};

/** The groups of the page, in its order. */
export const GROUPS = [
  { title: 'HTTP', variables: HTTP },
  { title: 'Accounts and tokens', variables: ACCOUNTS },
  { title: 'The embedded SIP server', variables: SIP },
  { title: 'Phones', variables: PHONES },
  { title: 'Programs', variables: PROGRAMS },
  { title: 'Media', variables: MEDIA },
  { title: 'Announcements and waiting music', variables: ANNOUNCEMENTS },
  { title: 'drachtio-server and FreeSWITCH', variables: SERVERS },
  { title: 'Limits', variables: LIMITS },
  { title: 'Data, usage and webhooks', variables: DATA },
  { title: 'The process', variables: PROCESS },
] as const;

export const VARIABLES = {
  ...HTTP,
  ...ACCOUNTS,
  ...SIP,
  ...PHONES,
  ...PROGRAMS,
  ...MEDIA,
  ...ANNOUNCEMENTS,
  ...SERVERS,
  ...LIMITS,
  ...DATA,
  ...PROCESS,
};
