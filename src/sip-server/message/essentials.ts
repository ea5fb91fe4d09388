import { readNumber, readParams } from './grammar.js';
import { type Headers, spellName, topVia, type Via } from './headers.js';
import type { SipMessage, SipRequest } from './message.js';
import { type NameAddr, parseNameAddr, parseNameAddrs, parseSipUri, schemeOf } from './uri.js';

/** The mandatory headers of a message (RFC 3261 section 8.1.1), parsed once. */
export interface Essentials {
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  /** Empty when the peer gave none (RFC 2543). */
  readonly fromTag: string;
  readonly toTag: string;
  readonly callId: string;
  readonly cseq: { readonly number: number; readonly method: string };
}

/** Why a message is refused, and the status of the response. */
export interface Fault {
  readonly status: 400 | 416;
  readonly why: string;
}

/** Call-ID, tags and branch are stored for as long as the transaction: longer ones would use up the memory. */
const MAX_ID = 512;
/** Longest address with its parameters: four times what one with a token in it needs. */
const MAX_ADDRESS = 4096;
const LONG_WHEN_HOSTILE = ['from', 'to', 'contact', 'cseq', 'refer-to', 'referred-by', 'p-asserted-identity'];

const ONCE = [
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-type',
  'expires',
  'event',
  'rack',
  'rseq',
  'session-expires',
  'min-se',
  'date',
];

/** Parses the mandatory headers, repairing them where needed. Returns a `Fault` if one cannot be used. */
export function readEssentials(message: SipMessage): Essentials | Fault {
  const { headers } = message;
  if (headers.repeated(ONCE) !== undefined) dropDuplicates(headers, ONCE);
  const repeated = headers.repeated(ONCE);
  if (repeated !== undefined) return bad(`${repeated} given more than once`);
  const via = topVia(headers.all('via'));
  if (!via) return bad('missing or malformed Via');
  const long = LONG_WHEN_HOSTILE.find((name) => headers.all(name).some(({ length }) => length > MAX_ADDRESS));
  if (long !== undefined) return bad(`${long} too long`);
  const from = repairAddress(headers, 'from');
  const to = repairAddress(headers, 'to');
  if (!from) return bad('missing or malformed From');
  if (!to) return bad('missing or malformed To');
  const callId = headers.get('call-id') ?? '';
  if (!/^\S+$/.test(callId)) return bad('missing or malformed Call-ID');
  const cseq = readCSeq(headers.get('cseq') ?? '');
  if (!cseq) return bad('missing or malformed CSeq');
  if (message.kind === 'response') repairAddresses(headers, 'contact');
  const fault = message.kind === 'request' ? requestFault(message, cseq.method) : undefined;
  if (fault) return fault;
  const fromTag = from.params.get('tag') ?? '';
  const toTag = to.params.get('tag') ?? '';
  if ([callId, fromTag, toTag, via.params.get('branch') ?? ''].some(({ length }) => length > MAX_ID)) {
    return bad('Call-ID, tag or branch too long');
  }
  return { via, from, to, fromTag, toTag, callId, cseq };
}

/** Whether parsing failed. */
export function isFault(result: Essentials | Fault): result is Fault {
  return 'why' in result;
}

/** Reads a CSeq value; numbers are below 2^31 (RFC 3261 section 8.1.1.5). */
export function readCSeq(value: string): Essentials['cseq'] | undefined {
  const match = /^(\d{1,10})[ \t]+(\S+)$/.exec(value);
  const number = match ? readNumber(match[1]!, 2 ** 31 - 1) : undefined;
  return match && number !== undefined ? { number, method: match[2]! } : undefined;
}

function requestFault(request: SipRequest, cseqMethod: string): Fault | undefined {
  if (cseqMethod !== request.method) return bad("CSeq method differs from the request's");
  const scheme = schemeOf(request.uri);
  if (scheme === undefined) return bad('malformed Request-URI');
  if (scheme === 'sip' || scheme === 'sips') {
    if (!parseSipUri(request.uri)) return bad('malformed Request-URI');
  } else if (scheme !== 'tel' && scheme !== 'urn') return { status: 416, why: `scheme ${scheme}` };
  return headerFault(request.headers, request.method);
}

function headerFault(headers: Headers, method: string): Fault | undefined {
  repairHeaders(headers);
  if (!parseNameAddrs(headers.all('route'))) return bad('malformed Route');
  if (!parseNameAddrs(headers.all('record-route'))) return bad('malformed Record-Route');
  const contacts = headers.all('contact');
  if (contacts.length === 1 && contacts[0] === '*' && method === 'REGISTER') return undefined;
  if (!repairAddresses(headers, 'contact')) return bad('malformed Contact');
  if (method === 'INVITE' && contacts.length === 0) return bad('missing Contact');
  return undefined;
}

function bad(why: string): Fault {
  return { status: 400, why };
}

/** Addresses that do not affect routing; From, To and Contact are parsed elsewhere. */
const SHOWN = ['refer-to', 'referred-by', 'p-asserted-identity', 'remote-party-id'];
const MAX_HOPS = 255;
const MAX_EXPIRES = 2 ** 32 - 1;
/** `readEssentials` refuses longer ones. */
const MAX_REPAIRED = 4096;

/** Merges repeated headers with equal values into one. */
function dropDuplicates(headers: Headers, names: readonly string[]): void {
  for (const name of names) {
    const [first, ...others] = headers.all(name);
    if (others.length > 0 && others.every((value) => value === first)) headers.set(spellName(name), first!);
  }
}

/** Parses the address in a header and repairs it if needed; undefined when its meaning is unclear. */
function repairAddress(headers: Headers, name: string): NameAddr | undefined {
  const value = headers.get(name) ?? '';
  return parseNameAddr(value) ?? mend(headers, name, value);
}

/** Whether the addresses in a header can be parsed. A single one is repaired if needed. */
function repairAddresses(headers: Headers, name: string): boolean {
  const values = headers.all(name);
  if (parseNameAddrs(values)) return true;
  return values.length === 1 && mend(headers, name, values[0]!) !== undefined;
}

/**
 * Repairs optional headers, or removes them if they cannot be repaired: a malformed optional header must not lose a
 * call (RFC 3261 section 8.2.2).
 */
function repairHeaders(headers: Headers): void {
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
