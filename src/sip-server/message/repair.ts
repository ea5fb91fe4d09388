import { readNumber, readParams } from './grammar.js';
import { type Headers, spellName } from './headers.js';
import { type NameAddr, parseNameAddr, parseNameAddrs, parseSipUri } from './uri.js';

/** Addresses that nothing is decided by; the others are read by themselves. */
const SHOWN = ['refer-to', 'referred-by', 'p-asserted-identity', 'remote-party-id'];
const MAX_HOPS = 255;
const MAX_EXPIRES = 2 ** 32 - 1;
/** Longer ones are refused: see `readEssentials`. */
const MAX_REPAIRED = 4096;

/** Given twice with the same value, a header of one value is as good as given once. */
export function dropDuplicates(headers: Headers, names: readonly string[]): void {
  for (const name of names) {
    const [first, ...others] = headers.all(name);
    if (others.length > 0 && others.every((value) => value === first)) headers.set(spellName(name), first!);
  }
}

/** Reads the address in a header, mended if need be; undefined when it cannot be told what is meant. */
export function repairAddress(headers: Headers, name: string): NameAddr | undefined {
  const value = headers.get(name) ?? '';
  return parseNameAddr(value) ?? mend(headers, name, value);
}

/** Whether a header's addresses can be read; a single one is mended if need be. */
export function repairAddresses(headers: Headers, name: string): boolean {
  const values = headers.all(name);
  if (parseNameAddrs(values)) return true;
  return values.length === 1 && mend(headers, name, values[0]!) !== undefined;
}

/**
 * Mends what decides nothing, and takes away what cannot be mended: no call is to be lost by a header that is not
 * needed (RFC 3261 section 8.2.2).
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
 * An address with the quotes around its name that its writer left out (RFC 4475 section 3.1.2.15), and with what its
 * user part may not hold escaped. Undefined when it cannot be told what is meant.
 */
function repairedAddress(value: string): string | undefined {
  const open = value.lastIndexOf('<');
  const start = open < 0 ? value.search(/\b(?:sips?|tel):/i) : open;
  const end = open < 0 ? endOfBareUri(value, start) : value.indexOf('>', open);
  if (start < 0 || end < 0) return undefined;
  const name = value.slice(0, start).trim();
  // Two addresses in one: whoever chose one of them might choose the wrong one.
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
