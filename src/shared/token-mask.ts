/** Indexes in a text. */
type Range = readonly [start: number, end: number];

const MASK = '***';
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
/** How often escapes within escapes, as in a URI within a URI header, are decoded. */
const MAX_ESCAPES = 3;
/** `eyJ` in hexadecimal digits: a JWT begins with it, since its header is a JSON object in base64url. */
const HEX_START = /65794a/i;

/**
 * Everything in a text that looks like a token: three base64url segments, the first of which is a JSON object.
 * Takes linear time for any text.
 */
export function tokensIn(text: string): string[] {
  return plainTokens(text).map(([start, end]) => text.slice(start, end));
}

/** Masks the participant tokens in a text, also those in percent-encoding, escaped in a quoted string, or in hex. */
export function maskTokens(text: string): string {
  return mayHoldToken(text) ? cover(text, tokenRanges(text)) : text;
}

/** Whether {@link maskTokens} would change a text. */
export function holdsToken(text: string): boolean {
  return mayHoldToken(text) && tokenRanges(text).length > 0;
}

/**
 * Makes a function that masks the secrets in the text of a SIP message, or in a part of one: participant tokens (all that
 * looks like one, and whatever is in a place for tokens), credentials (RFC 3261 section 22), and the keys of SRTP in a
 * session description (RFC 4568, RFC 3830, `k=`). @param headers further headers that carry a token
 */
export function sipTokenMask(headers: readonly string[]): (text: string) => string {
  const secret = new Set([...SECRET_HEADERS, ...headers.map((name) => name.toLowerCase())]);
  const isSecret = (name: string): boolean =>
    secret.has(name) || (name.startsWith('x-') && name.includes('token'));
  return (text) => {
    const end = endOfHead(text);
    // Unfold headers, since only their first line has the name.
    const head = text.slice(0, end).replace(/\r?\n[ \t]+/g, ' ');
    const lines = head.split('\n').map((line) => {
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(colon, 0)).trimEnd().toLowerCase();
      if (!isSecret(name)) return maskParameters(line);
      return `${line.slice(0, colon)}: ${MASK}${line.endsWith('\r') ? '\r' : ''}`;
    });
    return maskTokens(lines.join('\n')) + maskSipBody(text.slice(end));
  };
}

const SECRET_HEADERS = ['user-to-user', 'authorization', 'proxy-authorization'];

/** The embedded SIP server also reads heads whose lines end in LF alone. */
function endOfHead(text: string): number {
  const ends = ['\r\n\r\n', '\n\n'].map((end) => text.indexOf(end)).filter((end) => end >= 0);
  return ends.length === 0 ? text.length : Math.min(...ends);
}

/** Masks the secrets in a body: tokens, and keys that only the two ends of a call may know. */
export function maskSipBody(text: string): string {
  const body = maskTokens(text);
  if (!/inline:|^k=|^a=key-mgmt:/im.test(body)) return body;
  return body
    .replace(/(\binline:)[^\s|;]+/gi, `$1${MASK}`)
    .replace(/^(k=[a-z0-9]+:)[^\r\n]+/gim, `$1${MASK}`)
    .replace(/^(a=key-mgmt:[^\s]{1,40} )[^\r\n]+/gim, `$1${MASK}`);
}

const DELIMITER = /[;?&]/;
const SECRET_PARAMETER = /^(?:token|user-to-user)$/i;

/** Masks the values of URI parameters and URI headers that carry a token, whatever they look like. */
function maskParameters(line: string): string {
  if (!DELIMITER.test(line)) return line;
  return line
    .split(/(?=[;?&])/)
    .map((part) => {
      const equals = part.indexOf('=');
      if (equals < 2 || !DELIMITER.test(part[0]!)) return part;
      if (!SECRET_PARAMETER.test(unescaped(part.slice(1, equals)).trim())) return part;
      const length = part.slice(equals + 1).search(/[>\s"]/);
      const rest = length < 0 ? '' : part.slice(equals + 1 + length);
      return `${part.slice(0, equals + 1)}${length === 0 ? '' : MASK}${rest}`;
    })
    .join('');
}

/** A quick test that is false for nearly all text without a token, which then need not be decoded. */
function mayHoldToken(text: string): boolean {
  return text.includes('eyJ') || text.includes('%') || text.includes('\\') || HEX_START.test(text);
}

function tokenRanges(text: string): Range[] {
  const found = [...plainTokens(text), ...hexTokens(text)];
  let layer: Layer | undefined = { text, starts: undefined };
  for (let i = 0; i < MAX_ESCAPES; i += 1) {
    layer = decoded(layer);
    if (!layer) break;
    const { starts } = layer;
    const ranges = [...plainTokens(layer.text), ...hexTokens(layer.text)];
    found.push(...ranges.map(([start, end]): Range => [starts![start]!, starts![end]!]));
  }
  return found;
}

/** A decoded text, and the index of each of its characters in the original, with one more entry for its end. */
interface Layer {
  readonly text: string;
  readonly starts: Uint32Array | undefined;
}

/** Decodes `%41` and `\A` once; undefined if there is no escape. */
function decoded({ text, starts }: Layer): Layer | undefined {
  const codes = new Uint16Array(text.length);
  const places = new Uint32Array(text.length + 1);
  let length = 0;
  for (let at = 0; at < text.length; length += 1) {
    places[length] = starts ? starts[at]! : at;
    const code = text.charCodeAt(at);
    const byte = code === PERCENT ? hexByte(text, at + 1) : -1;
    const escaped = code === BACKSLASH && at + 1 < text.length;
    codes[length] = byte >= 0 ? byte : escaped ? text.charCodeAt(at + 1) : code;
    at += byte >= 0 ? 3 : escaped ? 2 : 1;
  }
  if (length === text.length) return undefined;
  places[length] = starts ? starts[text.length]! : text.length;
  return { text: Buffer.from(codes.buffer, 0, length * 2).toString('utf16le'), starts: places };
}

function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

function plainTokens(text: string): Range[] {
  const ranges: Range[] = [];
  let at = text.indexOf('eyJ');
  while (at >= 0) {
    const first = endOfSegment(text, at);
    const second = text[first] === '.' ? endOfSegment(text, first + 1) : first;
    const third = second > first + 1 && text[second] === '.' ? endOfSegment(text, second + 1) : second;
    const whole = third > second + 1;
    if (whole) ranges.push([at, third]);
    // Another start in the same segment would fail like this one, since the same segments follow.
    at = text.indexOf('eyJ', whole ? third : first);
  }
  return ranges;
}

/** Tokens in hex. In a run of digits, bytes may begin at the even or at the odd ones. */
function hexTokens(text: string): Range[] {
  if (!HEX_START.test(text)) return [];
  const ranges: Range[] = [];
  for (let at = 0; at < text.length;) {
    let end = at;
    while (end < text.length && hexDigit(text.charCodeAt(end)) >= 0) end += 1;
    for (const start of end - at >= 10 ? [at, at + 1] : []) {
      const bytes = Buffer.from(text.slice(start, end), 'hex').toString('latin1');
      for (const [from, to] of plainTokens(bytes)) ranges.push([start + from * 2, start + to * 2]);
    }
    at = end + 1;
  }
  return ranges;
}

function endOfSegment(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBase64Url(text.charCodeAt(at))) at += 1;
  return at;
}

function isBase64Url(code: number): boolean {
  const letter = code | 32;
  return (letter >= 97 && letter <= 122) || (code >= 48 && code <= 57) || code === 45 || code === 95;
}

function cover(text: string, ranges: readonly Range[]): string {
  let covered = '';
  let from = 0;
  for (const [start, end] of ranges.toSorted((one, other) => one[0] - other[0])) {
    if (end <= from) continue;
    // Join ranges that overlap.
    if (start >= from) covered += text.slice(from, start) + MASK;
    from = end;
  }
  return covered + text.slice(from);
}

function unescaped(text: string): string {
  return decoded({ text, starts: undefined })?.text ?? text;
}
