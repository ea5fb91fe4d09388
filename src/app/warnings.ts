import { networkInterfaces } from 'node:os';
import { inNetworks } from '../shared/index.js';
import type { Config } from './read-config.js';

/** Something about the configuration that its operator should know. */
interface ConfigWarning {
  /** Stable, so that programs can depend on it. */
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

/** What the rules look at beside the configuration. */
export interface WarningFacts {
  readonly hasDevelopmentAccount: boolean;
  /** Addresses of the machine's interfaces; default: those that it has. */
  readonly interfaces?: readonly string[];
  /** When the certificate of SIP ends, in epoch ms; undefined: there is none. */
  readonly certificateEndsAt?: number | undefined;
  /** In epoch ms. */
  readonly now: number;
}

type Warned = Pick<
  Config,
  | 'accounts'
  | 'http'
  | 'trustedProxies'
  | 'metricsFor'
  | 'publicIp'
  | 'sip'
  | 'rtp'
  | 'webrtc'
  | 'drachtio'
  | 'admission'
  | 'devicesPerAccount'
  | 'usage'
  | 'tokenSecret'
  | 'backups'
>;

const isLoopbackAddress = inNetworks(['127.0.0.0/8', '::1']);
const isPrivateAddress = inNetworks([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
]);
const EVERYWHERE = new Set(['0.0.0.0', '::']);

const isLoopback = (host: string): boolean => host === 'localhost' || isLoopbackAddress(host);

/** Whoever renews certificates by a program has done so by then. */
const ENDS_SOON_MS = 14 * 86_400_000;
const SAFE_SECRET_BYTES = 32;

/** All that is questionable about a configuration; docs/operations.md and SECURITY.md say why. */
export function configWarnings(config: Warned, facts: WarningFacts): ConfigWarning[] {
  return RULES.flatMap((rule) => rule(config, facts) ?? []);
}

type Rule = (config: Warned, facts: WarningFacts) => ConfigWarning | undefined;

/** Whether others than programs on the machine reach HTTP. */
const isHttpOpen = ({ http, trustedProxies }: Warned): boolean =>
  !isLoopback(http.host) || trustedProxies.length > 0;

const developmentAccount: Rule = (config, { hasDevelopmentAccount }) =>
  hasDevelopmentAccount && isHttpOpen(config)
    ? {
        code: 'DEVELOPMENT_ACCOUNT_OPEN',
        message:
          'Others than this machine can reach the development account, whose password everybody knows.',
        advice: 'Set PATCHBAY_ACCOUNTS.',
      }
    : undefined;

const noTls: Rule = ({ http, trustedProxies }) =>
  !isLoopback(http.host) && trustedProxies.length === 0
    ? {
        code: 'NO_TLS',
        message: `HTTP listens on ${http.host} without a TLS proxy that is known: passwords and tokens are sent in clear text, and browsers give no microphone.`,
        advice:
          'Put a TLS proxy in front (docs/operations.md) and name it in PATCHBAY_TRUSTED_PROXIES; let PATCHBAY_HTTP_HOST be 127.0.0.1.',
      }
    : undefined;

const openMetrics: Rule = ({ http, metricsFor }) =>
  !isLoopback(http.host) && metricsFor === 'direct'
    ? {
        code: 'METRICS_OPEN',
        message: 'Whoever reaches the HTTP port directly can read /metrics.',
        advice: 'Name those who may in PATCHBAY_METRICS_ALLOW.',
      }
    : undefined;

const loopbackMedia: Rule = (config) => {
  const { rtp, webrtc, sip } = config;
  const isSipOpen = sip.hosts.some((host) => !isLoopback(host));
  const closed = [
    ...(isSipOpen && isLoopback(rtp.host) ? ['PATCHBAY_RTP_HOST'] : []),
    ...(isHttpOpen(config) && isLoopback(webrtc.host) ? ['PATCHBAY_WEBRTC_HOST'] : []),
  ];
  if (closed.length === 0) return undefined;
  return {
    code: 'MEDIA_ON_LOOPBACK',
    message: `Others can connect, but would hear nothing: ${closed.join(' and ')} is an address of this machine alone.`,
    advice: `Set ${closed.join(' and ')} to the address that they reach.`,
  };
};

const publicAddress: Rule = ({ publicIp, rtp, webrtc }, { interfaces = ownAddresses() }) => {
  if (publicIp !== undefined) return undefined;
  const outside = interfaces.filter((address) => !isLoopback(address));
  const isPrivate = (host: string): boolean =>
    isPrivateAddress(host) || (EVERYWHERE.has(host) && outside.length > 0 && outside.every(isPrivateAddress));
  const hosts = [...new Set([rtp.host, webrtc.host].filter(isPrivate))];
  if (hosts.length === 0) return undefined;
  return {
    code: 'PUBLIC_ADDRESS_MISSING',
    message: `Media are offered at private addresses (${hosts.join(', ')}): phones and browsers beyond the NAT hear nothing.`,
    advice: 'If there are any, set PATCHBAY_PUBLIC_IP to the address that they see.',
  };
};

const openSip: Rule = ({ sip, drachtio }) =>
  drachtio.length === 0 && sip.allow.length === 0 && sip.hosts.some((host) => !isLoopback(host))
    ? {
        code: 'SIP_OPEN',
        message: 'Everybody may send SIP to the gateway; a token is still needed to enter a session.',
        advice: 'Where only carriers call, name them in PATCHBAY_SIP_ALLOW.',
      }
    : undefined;

const openSipApps: Rule = ({ sip }) =>
  sip.apps && !isLoopback(sip.apps.host)
    ? {
        code: 'SIP_APPS_OPEN',
        message: `SIP applications can connect at ${sip.apps.host}: whoever knows the secret takes part in all calls.`,
        advice: 'Keep PATCHBAY_SIP_APPS on 127.0.0.1 or a private network.',
      }
    : undefined;

const noCallLimit: Rule = ({ accounts, admission, devicesPerAccount }) =>
  accounts.length > 1 && admission.maxCalls === 0 && devicesPerAccount === Infinity
    ? {
        code: 'NO_CALL_LIMIT',
        message: 'One account can take all calls that the machine can serve.',
        advice: 'Set PATCHBAY_MAX_CALLS to what you have measured, or PATCHBAY_MAX_CALLS_PER_ACCOUNT.',
      }
    : undefined;

const privateWebhooks: Rule = ({ accounts, usage }) => {
  const { allow, deny } = usage.webhooks.targets;
  if (accounts.length < 2 || allow.length > 0 || deny.length > 0) return undefined;
  return {
    code: 'WEBHOOKS_TO_PRIVATE_ADDRESSES',
    message: 'Every account can have requests sent to private addresses of your network.',
    advice: 'Deny them by PATCHBAY_WEBHOOK_DENY if you do not trust everyone who has a password.',
  };
};

const shortSecret: Rule = ({ tokenSecret }) =>
  tokenSecret !== undefined && Buffer.byteLength(tokenSecret) < SAFE_SECRET_BYTES
    ? {
        code: 'SHORT_TOKEN_SECRET',
        message: 'PATCHBAY_TOKEN_SECRET is short enough to be guessed from a token.',
        advice: `Choose a random text of at least ${SAFE_SECRET_BYTES} bytes; tokens given out so far become invalid.`,
      }
    : undefined;

const noBackups: Rule = ({ backups }) =>
  backups === 0
    ? {
        code: 'NO_BACKUPS',
        message: 'No copies of the database are made.',
        advice: 'Set PATCHBAY_BACKUPS, or copy it yourself with npm run backup.',
      }
    : undefined;

const certificate: Rule = (_config, { certificateEndsAt, now }) => {
  if (certificateEndsAt === undefined || certificateEndsAt - now > ENDS_SOON_MS) return undefined;
  const day = new Date(certificateEndsAt).toISOString().slice(0, 10);
  return {
    code: certificateEndsAt <= now ? 'CERTIFICATE_ENDED' : 'CERTIFICATE_ENDS_SOON',
    message: `The certificate of PATCHBAY_SIP_TLS_CERT ${certificateEndsAt <= now ? 'ended' : 'ends'} on ${day}.`,
    advice: 'Renew it, and restart the gateway to load it.',
  };
};

const RULES: readonly Rule[] = [
  developmentAccount,
  noTls,
  loopbackMedia,
  publicAddress,
  certificate,
  openMetrics,
  openSip,
  openSipApps,
  noCallLimit,
  privateWebhooks,
  shortSecret,
  noBackups,
];

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
