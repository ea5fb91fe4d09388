import { isToken, readNumber } from './grammar.js';
import { Headers } from './headers.js';
import { NO_BODY, type SipMessage, type SipRequest } from './message.js';

/** Limits of one message, against memory and time spent on hostile input. */
export const MAX_HEAD_BYTES = 32_768;
const MAX_HEADER_FIELDS = 256;
export const MAX_MESSAGE_BYTES = 131_072;
/** Room for a Request-URI with a token in it. Nothing of a longer line is parsed. */
const MAX_START_LINE = 2048;

/** A message that cannot be processed. `request` is set if enough of it was readable to respond with `status`. */
interface Unreadable {
  readonly kind: 'unreadable';
  readonly status: 400 | 413 | 414 | 505 | 513;
  readonly why: string;
  readonly request: SipRequest | undefined;
}

/** Start line and headers of a message. */
interface Head {
  readonly message: SipMessage;
  readonly fault: { status: Unreadable['status']; why: string } | undefined;
}

const STATUS_LINE = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i;
const VERSION = /^SIP\/(\d{1,9})\.(\d{1,9})$/i;

/**
 * Parses one datagram, or one message from `StreamFramer`. Ignores bytes after the stated Content-Length (RFC 3261
 * section 18.3).
 */
export function parseMessage(bytes: Buffer): SipMessage | Unreadable {
  // Ignore line breaks before the start line (RFC 3261 section 7.5).
  const start = bytes.findIndex((byte) => byte !== CR && byte !== LF);
  const message = bytes.subarray(Math.max(start, 0));
  const found = findHead(message);
  if (!found || found.length > MAX_HEAD_BYTES) {
    return { kind: 'unreadable', status: 513, why: 'headers incomplete or too long', request: undefined };
  }
  return parseWhole(found.text(), message.subarray(found.length));
}

function parseWhole(text: string, available: Buffer): SipMessage | Unreadable {
  const head = parseHead(text);
  if (!head) return { kind: 'unreadable', status: 400, why: 'not a SIP message', request: undefined };
  const { message } = head;
  const stated = contentLength(message.headers);
  const fault = head.fault ?? bodyFault(stated, available.length);
  if (fault) {
    return { kind: 'unreadable', ...fault, request: message.kind === 'request' ? message : undefined };
  }
  const body = typeof stated === 'number' ? available.subarray(0, stated) : available;
  return { ...message, body: body.length === 0 ? NO_BODY : Buffer.from(body) };
}

function bodyFault(stated: number | 'absent' | 'invalid', available: number): Head['fault'] {
  if (stated === 'invalid') return { status: 400, why: 'invalid Content-Length' };
  if (typeof stated === 'number' && stated > available)
    return { status: 400, why: 'body shorter than Content-Length' };
  return undefined;
}

/** The stated Content-Length. Several equal values count as one. */
export function contentLength(headers: Headers): number | 'absent' | 'invalid' {
  const values = new Set(headers.all('content-length'));
  if (values.size === 0) return 'absent';
  if (values.size > 1) return 'invalid';
  const [value] = values;
  return readNumber(value!, MAX_MESSAGE_BYTES) ?? 'invalid';
}

const CR = 13;
const LF = 10;

/** The end of a message's head: its start line and headers. */
interface FoundHead {
  /** Its length in bytes, including the empty line. */
  readonly length: number;
  /** Its text without the empty line, with CRLF line breaks. */
  text(): string;
}

/**
 * Finds the head of a message. All its lines end in CRLF, or all in LF: the first line tells which. Its end is not in
 * the first `searched` bytes.
 */
export function findHead(bytes: Buffer, searched = 0): FoundHead | undefined {
  const first = bytes.indexOf(LF);
  if (first < 0) return undefined;
  const bare = first === 0 || bytes[first - 1] !== CR;
  const empty = bare ? '\n\n' : '\r\n\r\n';
  const end = bytes.indexOf(empty, Math.max(0, searched - 3));
  if (end < 0) return undefined;
  const text = (): string => {
    const head = bytes.toString('latin1', 0, end);
    return bare ? head.replaceAll('\n', '\r\n') : head;
  };
  return { length: end + empty.length, text };
}

/** Parses start line and headers, given without the empty line. Undefined when the text is not SIP. */
export function parseHead(text: string): Head | undefined {
  const lines = text.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const start = readStartLine(lines[0] ?? '');
  if (!start) return undefined;
  const headers = new Headers();
  let { fault } = start;
  for (let i = 1; i < lines.length; i++) {
    const problem = addHeader(headers, lines[i]!);
    if (problem !== undefined) fault ??= { status: 400, why: problem };
  }
  return { message: { ...start.line, headers, body: NO_BODY }, fault };
}

type StartLine =
  { kind: 'request'; method: string; uri: string } | { kind: 'response'; status: number; reason: string };

interface ReadStartLine {
  readonly line: StartLine;
  readonly fault: Head['fault'];
}

function readStartLine(text: string): ReadStartLine | undefined {
  if (text.length > MAX_START_LINE) return readLongLine(text);
  const status = STATUS_LINE.exec(text);
  if (status) {
    const line: StartLine = { kind: 'response', status: Number(status[1]), reason: status[2] ?? '' };
    return { line, fault: undefined };
  }
  if (/^SIP\/2\.0 /i.test(text)) {
    const line: StartLine = { kind: 'response', status: 0, reason: '' };
    return { line, fault: { status: 400, why: 'malformed status line' } };
  }
  return readRequestLine(text);
}

/** An over-long start line gets a response if it can be a request line. */
function readLongLine(text: string): ReadStartLine | undefined {
  const method = text.slice(0, Math.max(text.slice(0, MAX_START_LINE).indexOf(' '), 0));
  if (!isToken(method)) return undefined;
  return { line: { kind: 'request', method, uri: '' }, fault: { status: 414, why: 'Request-URI too long' } };
}

/** Splits at spaces, in linear time: a lenient pattern would backtrack quadratically. */
function readRequestLine(text: string): ReadStartLine | undefined {
  const words = text.split(/\s+/);
  if (words.at(-1) === '') words.pop();
  const [method = ''] = words;
  const version = VERSION.exec(words.at(-1) ?? '');
  if (words.length < 3 || !version || !isToken(method)) return undefined;
  const uri = words.slice(1, -1).join(' ');
  const line: StartLine = { kind: 'request', method, uri };
  if (text !== `${method} ${uri} ${version[0]}` || words.length > 3) {
    return { line, fault: { status: 400, why: 'malformed request line' } };
  }
  const [, major = '', minor = ''] = version;
  const known = major === '2' && minor === '0';
  return { line, fault: known ? undefined : { status: 505, why: `SIP/${major}.${minor}` } };
}

function addHeader(headers: Headers, line: string): string | undefined {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).trimEnd();
  // Ignore a line that is not a header (RFC 3261 section 8.2.2).
  if (!isToken(name)) return undefined;
  if (headers.count >= MAX_HEADER_FIELDS) return 'too many headers';
  const value = line.slice(colon + 1).trim();
  // Other control characters may occur, escaped, in quoted strings (RFC 4475 section 3.1.1.2).
  if (/[\r\n]/.test(value)) return `line break in ${name}`;
  headers.add(name, value);
  return undefined;
}
