/**
 * Makes SIP messages harmless before drachtio-srf parses them. For hostile text its patterns take time quadratic or cubic
 * in the length, before any token is checked, and it prints what it cannot parse to stderr. This is done for messages of
 * both SIP servers.
 */
import { SDP_TYPE } from './sip.js';
import { splitOutsideQuotes, unquoted } from './tokens/user-to-user.js';

/** Longest header that drachtio-srf may parse. A longer one is cut: then it is malformed, or its end is lost. */
const MAX_PARSED = 4096;
const PARSED = new Set([
  ...['from', 'f', 'to', 't', 'contact', 'm', 'cseq', 'refer-to', 'r', 'referred-by', 'b'],
  ...['p-asserted-identity', 'remote-party-id', 'content-type', 'c', 'content-length', 'l'],
]);
const CONTENT_TYPE = new Set(['content-type', 'c']);
const CONTENT_LENGTH = new Set(['content-length', 'l']);

/** Start lines that drachtio-srf can parse. */
const READABLE = /^(?:SIP\/\d+\.\d+ \d+(?: |$)|[\w\-.!%*+`'~]+ \S+ SIP\/\d+\.\d+)/;

/** So many parts of a multipart body are searched, and so many levels of nested ones. */
const MAX_PARTS = 16;
const MAX_DEPTH = 3;
/** RFC 2046 section 5.1.1. */
const MAX_BOUNDARY = 70;

/** A message of drachtio's wire protocol, made harmless; undefined when its SIP message cannot be parsed. */
export function sanitizeFrame(frame: string): string | undefined {
  const start = frame.indexOf('\r\n');
  if (start < 0) return frame;
  const message = sanitizeMessage(frame.slice(start + 2));
  if (message !== undefined) return frame.slice(0, start + 2) + message;
  // Only messages from the network (`sip`) are dropped. Replies to our own commands must always pass.
  return frame.slice(0, start).split('|', 2)[1] === 'sip' ? undefined : frame;
}

/**
 * Makes a SIP message harmless: collapses white space, removes malformed headers, cuts long ones, and replaces a multipart
 * body by the session description in it. Undefined when it is no SIP message.
 */
export function sanitizeMessage(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n');
  const head = (end < 0 ? text : text.slice(0, end)).replace(/\r\n[ \t]+/g, ' ');
  let body = end < 0 ? '' : text.slice(end + 4);
  const lines = head.split('\r\n').map(collapse);
  if (!READABLE.test(lines[0]!)) return undefined;
  const kept = [lines[0]!];
  let changedBody = false;
  for (const line of lines.slice(1)) {
    const name = nameOf(line);
    if (name === undefined) continue;
    if (CONTENT_TYPE.has(name) && /multipart\//i.test(line)) {
      const description = sessionDescription(valueOf(line), body);
      if (description !== undefined) {
        body = description;
        changedBody = true;
      }
      kept.push(`Content-Type: ${description === undefined ? 'multipart/mixed' : SDP_TYPE}`);
    } else kept.push(PARSED.has(name) && line.length > MAX_PARSED ? line.slice(0, MAX_PARSED) : line);
  }
  if (changedBody) {
    const others = kept.filter((line) => !CONTENT_LENGTH.has(nameOf(line) ?? ''));
    return [...others, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
  }
  return end < 0 ? kept.join('\r\n') : `${kept.join('\r\n')}\r\n\r\n${body}`;
}

/** Replaces each run of white space by one space. */
function collapse(line: string): string {
  return /\s\s|[^\S ]/.test(line) ? line.replace(/\s+/g, ' ') : line;
}

/** The name of a header line in lower case; undefined when there is none. */
function nameOf(line: string): string | undefined {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).trimEnd();
  return name === '' || name.includes(' ') ? undefined : name.toLowerCase();
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim();
}

/** The session description in a multipart body (RFC 5621), nested ones included. */
function sessionDescription(type: string, body: string, depth = 0): string | undefined {
  const boundary = boundaryOf(type);
  if (boundary === undefined) return undefined;
  for (const part of partsOf(body, `--${boundary}`)) {
    const { type: partType, content } = readPart(part);
    if (partType.toLowerCase().startsWith(SDP_TYPE)) {
      // The line break before a delimiter belongs to the delimiter, but the last line of an SDP needs one too.
      return content.endsWith('\n') ? content : `${content}\r\n`;
    }
    const inside = depth < MAX_DEPTH ? sessionDescription(partType, content, depth + 1) : undefined;
    if (inside !== undefined) return inside;
  }
  return undefined;
}

/**
 * The parts between delimiter lines, which may end in white space (RFC 2046 section 5.1.1), with their headers. Lines may
 * end in LF alone. Takes linear time.
 */
function partsOf(body: string, delimiter: string): string[] {
  const parts: string[] = [];
  let start = -1;
  for (let at = 0; at < body.length && parts.length < MAX_PARTS;) {
    const lineFeed = body.indexOf('\n', at);
    const next = lineFeed < 0 ? body.length : lineFeed + 1;
    const rest = body.startsWith(delimiter, at) ? body.slice(at + delimiter.length, next).trim() : undefined;
    if (rest === '' || rest === '--') {
      if (start >= 0) parts.push(withoutLineBreak(body.slice(start, at)));
      if (rest === '--') return parts;
      start = next;
    }
    at = next;
  }
  if (start >= 0 && parts.length < MAX_PARTS) parts.push(body.slice(start));
  return parts;
}

function withoutLineBreak(text: string): string {
  return text.endsWith('\r\n') ? text.slice(0, -2) : text.endsWith('\n') ? text.slice(0, -1) : text;
}

/** A part's Content-Type (empty when it has none) and content. */
function readPart(part: string): { type: string; content: string } {
  // A part without headers begins with the empty line.
  const text = `\n${part}`;
  const end = /\r?\n\r?\n/.exec(text);
  if (!end) return { type: '', content: '' };
  const lines = text
    .slice(1, end.index)
    .replace(/\r?\n[ \t]+/g, ' ')
    .split(/\r?\n/);
  const type = lines.find((line) => CONTENT_TYPE.has(nameOf(line) ?? ''));
  return { type: type === undefined ? '' : valueOf(type), content: text.slice(end.index + end[0].length) };
}

function boundaryOf(type: string): string | undefined {
  if (!/^multipart\//i.test(type)) return undefined;
  const given = splitOutsideQuotes(type.slice(0, MAX_PARSED), ';')
    .map((parameter) => parameter.trim())
    .find((parameter) => /^boundary *=/i.test(parameter));
  const boundary = given === undefined ? '' : unquoted(given.slice(given.indexOf('=') + 1).trim());
  return boundary === '' || boundary.length > MAX_BOUNDARY ? undefined : boundary;
}
