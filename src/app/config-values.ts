/** Parsers of the values of environment variables. Their errors say what was expected. */
import { EnvError, makeValidator } from 'envalid';
import ipaddr from 'ipaddr.js';
import type { Account, Audience } from '../api/index.js';
import type { WaitingReason } from '../core/index.js';
import { AUDIO_CODECS } from '../media/index.js';
import { postgresTarget } from '../store/index.js';
import { inNetworks } from '../shared/index.js';

/** Text about a variable for docs/configuration.md. */
interface Description {
  readonly meaning: string;
  /** A value that is accepted. */
  readonly example: string;
  /** A value that is refused; absent if every text is accepted. */
  readonly wrong?: string;
}

/** A validator with its description. */
export const described = <V extends object>(
  validator: V,
  meaning: string,
  example: string,
  wrong?: string,
): V & Description => ({ ...validator, meaning, example, ...(wrong === undefined ? {} : { wrong }) });

/** Where a drachtio-server or FreeSWITCH is, and its secret. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

const parts = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

export const accounts = makeValidator<readonly Account[]>((text) => {
  const list = parts(text).map((entry) => {
    const [id, user, ...password] = entry.split(':');
    if (!id || !user || password.join(':') === '') {
      throw new EnvError('expected accountId:user:password, comma-separated');
    }
    return { id, user, password: password.join(':') };
  });
  if (list.length === 0) throw new EnvError('at least one account is needed');
  if (new Set(list.map(({ user }) => user)).size !== list.length) {
    throw new EnvError('two accounts share a user name');
  }
  return list;
});

export const accountIds = makeValidator<readonly string[]>(parts);

const parseCidrs = (text: string): readonly string[] =>
  parts(text).map((entry) => {
    try {
      inNetworks([entry]);
    } catch (error) {
      throw new EnvError((error as Error).message);
    }
    return entry;
  });

export const cidrs = makeValidator<readonly string[]>(parseCidrs);

const AUDIENCES = new Map<string, Audience>([
  ['direct', 'direct'],
  ['on', 'everyone'],
  ['off', 'nobody'],
]);

/** Who may read a page: a word, or addresses and CIDRs. */
export const audience = makeValidator<Audience>((text) => {
  const word = AUDIENCES.get(text.trim().toLowerCase());
  if (word !== undefined) return word;
  if (/^[a-z]*$/i.test(text.trim())) {
    throw new EnvError(`expected direct, on, off, or addresses and CIDRs, got ${text}`);
  }
  return parseCidrs(text);
});

export const addresses = makeValidator<readonly string[]>((text) => {
  const hosts = parts(text);
  for (const host of hosts) {
    if (!ipaddr.isValid(host)) throw new EnvError(`not an IP address: ${host}`);
  }
  if (hosts.length === 0) throw new EnvError('at least one address is needed');
  return hosts;
});

export const hepServer = makeValidator((text) => {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)(?::(\d+)(?::(.+))?)?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  if (!match || !ipaddr.isValid(host)) throw new EnvError('expected address:port[:captureId[:password]]');
  return { host, port: Number(match[3]), agentId: Number(match[4] ?? 2001), password: match[5] };
});

export const headerNames = makeValidator<readonly string[]>((text) =>
  parts(text).map((name) => {
    if (!/^[\w.!%*+`'~-]+$/.test(name)) throw new EnvError(`not a SIP header name: ${name}`);
    return name;
  }),
);

export const agentNames = makeValidator<readonly string[]>(parts);

export const PHONE_CODECS = AUDIO_CODECS.map(({ name }) => name);

export const phoneCodecs = makeValidator<readonly string[]>((text) =>
  parts(text).map((name) => {
    const codec = PHONE_CODECS.find((known) => known.toLowerCase() === name.toLowerCase());
    if (codec === undefined) throw new EnvError(`not one of ${PHONE_CODECS.join(', ')}: ${name}`);
    return codec;
  }),
);

export const WAITING_REASONS = ['no-session', 'alone', 'nobody-publishes'] as const;

export const waitingReasons = makeValidator<readonly WaitingReason[]>((text) =>
  parts(text).map((word) => {
    const reason = WAITING_REASONS.find((known) => known === word);
    if (!reason) throw new EnvError(`not one of ${WAITING_REASONS.join(', ')}: ${word}`);
    return reason;
  }),
);

/** An IP address or a host name. */
export const host = makeValidator<string>((text) => {
  if (!ipaddr.isValid(text) && !/^[\da-z][\w.-]{0,252}$/i.test(text)) {
    throw new EnvError(`neither an IP address nor a host name: ${text}`);
  }
  return text;
});

export const atLeastZero = makeValidator<number>((text) => {
  const value = Number(text);
  if (!(value >= 0 && value < Infinity)) throw new EnvError(`expected a number, 0 or more, got ${text}`);
  return value;
});

export const positive = makeValidator<number>((text) => {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new EnvError(`expected a number over 0, got ${text}`);
  return value;
});

export const wholeSeconds = makeValidator<number>((text) => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new EnvError(`expected whole seconds, at least 1, got ${text}`);
  return Number(text);
});

/** A number of media hosts. */
export const hostCount = makeValidator<number>((text) => {
  if (!/^[0-8]$/.test(text)) throw new EnvError(`expected a whole number from 0 to 8, got ${text}`);
  return Number(text);
});

export const wholeNumber = makeValidator<number>((text) => {
  if (!/^\d{1,9}$/.test(text)) throw new EnvError(`expected a whole number, 0 or more, got ${text}`);
  return Number(text);
});

export const portRange = makeValidator<readonly [number, number]>((text) => {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const range = [Number(match?.[1]), Number(match?.[2])] as const;
  if (!match || range[0] < 1 || range[1] > 65_535 || range[1] - range[0] < 1) {
    throw new EnvError(`expected FIRST-LAST with at least two ports, got ${text}`);
  }
  return range;
});

/** A port to listen on; 0 lets the system choose. */
export const listenPort = makeValidator<number>((text) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new EnvError(`expected a port, 0 to 65535, got ${text}`);
  return value;
});

const parseServers = (text: string): readonly ServerAddress[] =>
  parts(text).map((entry) => {
    const match = /^(\[[^\]]+\]|[^:]+):(\d+):(.+)$/.exec(entry);
    if (!match) throw new EnvError('expected host:port:secret, comma-separated');
    return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2]), secret: match[3]! };
  });

export const servers = makeValidator<readonly ServerAddress[]>(parseServers);

export const server = makeValidator<ServerAddress>((text) => {
  const [one, ...others] = parseServers(text);
  if (one === undefined || others.length > 0) throw new EnvError('expected one host:port:secret');
  return one;
});

/** Where the database is. Errors never repeat the value, which holds a password. */
export const postgresUrl = makeValidator((text) => {
  try {
    return postgresTarget(text);
  } catch (error) {
    throw new EnvError((error as Error).message);
  }
});

export const httpUrl = makeValidator<string>((text) => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new EnvError(`not an HTTP URL: ${text}`);
  }
  return text;
});

export const turnUrls = makeValidator<readonly string[]>((text) =>
  parts(text).map((url) => {
    if (!/^turns?:[^\s/]+$/.test(url)) throw new EnvError(`not a TURN URL: ${url}`);
    return url;
  }),
);
