import { endOfQuoted, type Params, readParams, splitList } from './grammar.js';

/** The parts of a SIP or SIPS URI (RFC 3261 section 19.1). Escapes are not decoded. */
export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  /** User part without password; empty when there is none. */
  readonly user: string;
  /** Name or address without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** URI parameters, names in lower case; a parameter without a value maps to the empty string. */
  readonly params: ReadonlyMap<string, string>;
  /** Everything after the question mark. */
  readonly headers: string;
}

const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*:/;
const HOST_PORT = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?::(\d{1,5}))?$/;

/** The scheme of any URI, in lower case; undefined when there is none. */
export function schemeOf(uri: string): string | undefined {
  return SCHEME.test(uri) ? uri.slice(0, uri.indexOf(':')).toLowerCase() : undefined;
}

/** Parses a SIP or SIPS URI; undefined when it is malformed or has another scheme. */
export function parseSipUri(text: string): SipUri | undefined {
  const scheme = schemeOf(text);
  if (scheme !== 'sip' && scheme !== 'sips') return undefined;
  if (/[\s<>"]/.test(text)) return undefined;
  const rest = text.slice(scheme.length + 1);
  // The user part may hold ';' and '?' (RFC 4475 section 3.1.1.9), so the last '@' decides.
  const at = rest.lastIndexOf('@');
  const userinfo = at < 0 ? '' : rest.slice(0, at);
  if (at === 0 || userinfo.includes('@')) return undefined;
  const afterUser = rest.slice(at + 1);
  const question = afterUser.indexOf('?');
  const hostAndParams = question < 0 ? afterUser : afterUser.slice(0, question);
  const semicolon = hostAndParams.indexOf(';');
  const hostPort = HOST_PORT.exec(semicolon < 0 ? hostAndParams : hostAndParams.slice(0, semicolon));
  if (!hostPort) return undefined;
  const port = hostPort[2] === undefined ? undefined : Number(hostPort[2]);
  if (port !== undefined && port > 65_535) return undefined;
  return {
    scheme,
    user: beforeColon(userinfo),
    host: unbracket(hostPort[1]!),
    port,
    params: uriParams(semicolon < 0 ? '' : hostAndParams.slice(semicolon + 1)),
    headers: question < 0 ? '' : afterUser.slice(question + 1),
  };
}

function beforeColon(text: string): string {
  const colon = text.indexOf(':');
  return colon < 0 ? text : text.slice(0, colon);
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

function uriParams(text: string): ReadonlyMap<string, string> {
  if (text === '') return NO_PARAMS;
  const params = new Map<string, string>();
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = (equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    if (!params.has(name)) params.set(name, equals < 0 ? '' : pair.slice(equals + 1));
  }
  return params;
}

/** Removes the brackets of an IPv6 literal. */
export function unbracket(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** `host:port` as in URIs and Via: IPv6 in brackets, the port only if given. */
export function hostPort(host: string, port?: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? name : `${name}:${port}`;
}

/** One address of From, To, Contact, Route or Record-Route (RFC 3261 section 20.10). */
export interface NameAddr {
  /** As written, quotes included; empty when there is none. */
  readonly display: string;
  readonly uri: string;
  /** Parameters of the header, not those of the URI. */
  readonly params: Params;
}

/** Reads one name-addr or addr-spec with its parameters; undefined when it is malformed. */
export function parseNameAddr(value: string): NameAddr | undefined {
  const text = value.trim();
  const open = startOfUri(text);
  if (open === undefined) return undefined;
  if (open < 0) return parseAddrSpec(text);
  const close = text.indexOf('>', open);
  if (close < 0) return undefined;
  const uri = text.slice(open + 1, close);
  const params = readParams(text.slice(close + 1));
  if (!params || !isUri(uri)) return undefined;
  return { display: text.slice(0, open).trim(), uri, params };
}

/** Reads a list of addresses; undefined when any of them is malformed. */
export function parseNameAddrs(values: readonly string[]): NameAddr[] | undefined {
  const all: NameAddr[] = [];
  for (const value of values) {
    for (const part of splitList(value) ?? ['']) {
      const address = parseNameAddr(part);
      if (!address) return undefined;
      all.push(address);
    }
  }
  return all;
}

/** Index of the '<' after the display name, -1 when there is none, undefined when the display name is malformed. */
function startOfUri(text: string): number | undefined {
  if (text.startsWith('"')) {
    const end = endOfQuoted(text, 0);
    if (end < 0) return undefined;
    const open = text.indexOf('<', end);
    return open >= 0 && text.slice(end, open).trim() === '' ? open : undefined;
  }
  const open = text.indexOf('<');
  if (open < 0) return -1;
  return /^[A-Za-z0-9\-.!%*_+`'~ \t]*$/.test(text.slice(0, open)) ? open : undefined;
}

function parseAddrSpec(text: string): NameAddr | undefined {
  const semicolon = text.indexOf(';');
  const uri = semicolon < 0 ? text : text.slice(0, semicolon);
  // Without brackets, '?' and ',' would be ambiguous (RFC 3261 section 20).
  if (/[?,]/.test(uri) || !isUri(uri.trim())) return undefined;
  const params = readParams(semicolon < 0 ? '' : text.slice(semicolon));
  return params && { display: '', uri: uri.trim(), params };
}

function isUri(uri: string): boolean {
  const scheme = schemeOf(uri);
  if (scheme === undefined || /[\s<>"]/.test(uri)) return false;
  return scheme === 'sip' || scheme === 'sips' ? parseSipUri(uri) !== undefined : true;
}
