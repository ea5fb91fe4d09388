import { readNumber } from './grammar.js';
import { type Headers, topVia, type Via } from './headers.js';
import type { SipMessage, SipRequest } from './message.js';
import { type NameAddr, parseNameAddrs, parseSipUri, schemeOf } from './uri.js';
import { dropDuplicates, repairHeaders, repairAddress, repairAddresses } from './repair.js';

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
