import { readNumber, readParams } from './grammar.js';
import { type Headers, spellName } from './headers.js';
import { type NameAddr, parseNameAddr, parseNameAddrs, parseSipUri } from './uri.js';

/** Addresses that do not affect routing; From, To and Contact are parsed elsewhere. */
const SHOWN = ['refer-to', 'referred-by', 'p-asserted-identity', 'remote-party-id'];
const MAX_HOPS = 255;
const MAX_EXPIRES = 2 ** 32 - 1;
/** `readEssentials` refuses longer ones. */
const MAX_REPAIRED = 4096;

/** Merges repeated headers with equal values into one. */
export function dropDuplicates(headers: Headers, names: readonly string[]): void {
  for (const name of names) {
    const [first, ...others] = headers.all(name);
    if (others.length > 0 && others.every((value) => value === first)) headers.set(spellName(name), first!);
  }
}

/** Parses the address in a header and repairs it if needed; undefined when its meaning is unclear. */
export function repairAddress(headers: Headers, name: string): NameAddr | undefined {
  const value = headers.get(name) ?? '';
  return parseNameAddr(value) ?? mend(headers, name, value);
}

/** Whether the addresses in a header can be parsed. A single one is repaired if needed. */
export function repairAddresses(headers: Headers, name: string): boolean {
  const values = headers.all(name);
  if (parseNameAddrs(values)) return true;
  return values.length === 1 && mend(headers, name, values[0]!) !== undefined;
}

/**
 * Repairs optional headers, or removes them if they cannot be repaired: a malformed optional header must not lose a
 * call (RFC 3261 section 8.2.2).
 */
export function repairHeaders(headers: Headers): void {
  for (const name of SHOWN) if (headers.has(name)) repairAddresses(headers, name);
  const hops = headers.get('max-forwards');
  if (hops !== undefined && readNumber(hops, MAX_HOPS) === undefined) {
    if (/^\d+$/.test(hops)) headers.set('Max-Forwards', String(MAX_HOPS));
    else headers.remove('max-forwards');
  }
  const expires = headers.get('expires');
  if (expires !== undefined && readNumber(expires, MAX_EXPIRES) === undefined) headers.remove('expires');
}

function mend(headers: Headers, name: string, value: string): NameAddr | undefined {
  const mended = value.length > MAX_REPAIRED ? undefined : repairedAddress(value);
  if (mended === undefined) return undefined;
  headers.set(spellName(name), mended);
  return parseNameAddr(mended);
}

/**
 * Adds missing quotes around the display name (RFC 4475 section 3.1.2.15) and escapes forbidden characters in the
 * user part. Undefined when the meaning of the address is unclear.
 */
function repairedAddress(value: string): string | undefined {
  const open = value.lastIndexOf('<');
  const start = open < 0 ? value.search(/\b(?:sips?|tel):/i) : open;
  const end = open < 0 ? endOfBareUri(value, start) : value.indexOf('>', open);
  if (start < 0 || end < 0) return undefined;
  const name = value.slice(0, start).trim();
  // This may hold two addresses: do not guess which one is meant.
  if (/[<>]/.test(name) || (open < 0 && name === '')) return undefined;
  const uri = repairedUri(value.slice(open < 0 ? start : start + 1, end).trim());
  const params = value.slice(open < 0 ? end : end + 1);
  if (uri === undefined || !readParams(params)) return undefined;
  const words = name.replace(/^"/, '').replace(/"$/, '');
  return `${words === '' ? '' : `"${words.replace(/[\\"]/g, '\\$&')}" `}<${uri}>${params}`;
}

/** Without brackets, '?' and ',' would be ambiguous (RFC 3261 section 20). */
function endOfBareUri(value: string, start: number): number {
  if (start < 0 || /[?,]/.test(value.slice(start))) return -1;
  const end = value.indexOf(';', start);
  return end < 0 ? value.length : end;
}

function repairedUri(uri: string): string | undefined {
  if (/^tel:[^\s<>"@]+$/i.test(uri)) return uri;
  const at = uri.lastIndexOf('@');
  const colon = uri.indexOf(':');
  const user = uri.slice(colon + 1, Math.max(at, colon + 1));
  const escaped = user.replace(/[\s"@]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const repaired = `${uri.slice(0, colon + 1)}${escaped}${uri.slice(Math.max(at, colon + 1))}`;
  return parseSipUri(repaired) ? repaired : undefined;
}
