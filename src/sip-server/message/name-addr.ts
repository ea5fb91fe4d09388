import { endOfQuoted, readParams, splitList, type Params } from './grammar.js';
import { parseSipUri, schemeOf } from './uri.js';

/** One address of From, To, Contact, Route or Record-Route (RFC 3261 section 20.10). */
export interface NameAddr {
  /** As written, quotes included; empty when there is none. */
  readonly display: string;
  readonly uri: string;
  /** Parameters of the header, not of the URI. */
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

/** Reads a whole list of addresses; undefined when any of them is malformed. */
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
