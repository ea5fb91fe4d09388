import { type Params, readParams, splitList } from './grammar.js';
import { hostPort, unbracket } from './uri.js';

const VIA =
  /^SIP\s*\/\s*2\.0\s*\/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?:\s*:\s*(\d{1,5}))?\s*(;.*)?$/i;

/** Branches begin with this since RFC 3261; others are matched as in RFC 2543 (section 17.2.3). */
export const BRANCH_COOKIE = 'z9hG4bK';

/** One header field. */
export interface HeaderField {
  /** Full name in lower case, for lookups. */
  readonly key: string;
  /** The name as it is written. */
  readonly name: string;
  readonly value: string;
}

const COMPACT: ReadonlyMap<string, string> = new Map([
  ['a', 'Accept-Contact'],
  ['b', 'Referred-By'],
  ['c', 'Content-Type'],
  ['d', 'Request-Disposition'],
  ['e', 'Content-Encoding'],
  ['f', 'From'],
  ['i', 'Call-ID'],
  ['j', 'Reject-Contact'],
  ['k', 'Supported'],
  ['l', 'Content-Length'],
  ['m', 'Contact'],
  ['n', 'Identity-Info'],
  ['o', 'Event'],
  ['r', 'Refer-To'],
  ['s', 'Subject'],
  ['t', 'To'],
  ['u', 'Allow-Events'],
  ['v', 'Via'],
  ['x', 'Session-Expires'],
  ['y', 'Identity'],
]);

/** Names that are not just spelt with capital first letters. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['call-id', 'Call-ID'],
  ['cseq', 'CSeq'],
  ['mime-version', 'MIME-Version'],
  ['min-se', 'Min-SE'],
  ['rack', 'RAck'],
  ['rseq', 'RSeq'],
  ['sip-etag', 'SIP-ETag'],
  ['sip-if-match', 'SIP-If-Match'],
  ['www-authenticate', 'WWW-Authenticate'],
]);

/** Spells a lower-case header name as the RFCs do. Names with capitals stay as they are. */
export function spellName(name: string): string {
  if (name !== name.toLowerCase()) return name;
  return SPELLINGS.get(name) ?? name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/** The full name of a header; expands compact forms (RFC 3261 section 7.3.3). */
function fullName(name: string): string {
  return (name.length === 1 ? COMPACT.get(name.toLowerCase()) : undefined) ?? name;
}

/** The header fields of one message, in order. Lookups are by full name in lower case. */
export class Headers implements Iterable<HeaderField> {
  #fields: HeaderField[] = [];

  /** The first value of a header. */
  get(key: string): string | undefined {
    for (const field of this.#fields) if (field.key === key) return field.value;
    return undefined;
  }

  /** All values of a header, in order. */
  all(key: string): string[] {
    const values: string[] = [];
    for (const field of this.#fields) if (field.key === key) values.push(field.value);
    return values;
  }

  has(key: string): boolean {
    for (const field of this.#fields) if (field.key === key) return true;
    return false;
  }

  /** The first of these headers that occurs more than once. */
  repeated(keys: readonly string[]): string | undefined {
    return keys.find((key) => {
      let times = 0;
      for (const field of this.#fields) if (field.key === key) times++;
      return times > 1;
    });
  }

  /** Appends a field. */
  add(name: string, value: string): this {
    this.#fields.push(makeField(name, value));
    return this;
  }

  /** Puts a field before all others. */
  prepend(name: string, value: string): this {
    this.#fields.unshift(makeField(name, value));
    return this;
  }

  /** Replaces all fields of that name by one. */
  set(name: string, value: string): this {
    const field = makeField(name, value);
    const at = this.#fields.findIndex((other) => other.key === field.key);
    if (at < 0) this.#fields.push(field);
    else {
      this.#fields[at] = field;
      this.#fields = this.#fields.filter((other, index) => index <= at || other.key !== field.key);
    }
    return this;
  }

  /** Replaces all fields of that name by these values, before all other headers. */
  replace(name: string, values: readonly string[]): this {
    const fields = values.map((value) => makeField(name, value));
    const key = fullName(name).toLowerCase();
    this.#fields = [...fields, ...this.#fields.filter((field) => field.key !== key)];
    return this;
  }

  remove(key: string): this {
    this.#fields = this.#fields.filter((field) => field.key !== key);
    return this;
  }

  copy(): Headers {
    const copy = new Headers();
    copy.#fields = [...this.#fields];
    return copy;
  }

  get count(): number {
    return this.#fields.length;
  }

  [Symbol.iterator](): Iterator<HeaderField> {
    return this.#fields[Symbol.iterator]();
  }
}

function makeField(name: string, value: string): HeaderField {
  const full = fullName(name);
  return { key: full.toLowerCase(), name: full, value };
}

/** One Via value (RFC 3261 section 20.42). */
export interface Via {
  /** Upper case: UDP, TCP, TLS or anything else that a peer writes. */
  readonly transport: string;
  /** Without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
}

/** Reads one Via value; undefined when it is malformed. */
export function parseVia(value: string): Via | undefined {
  const match = VIA.exec(value.trim());
  if (!match) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  const params = readParams(match[4] ?? '');
  if (!params || (port !== undefined && port > 65_535)) return undefined;
  return { transport: match[1]!.toUpperCase(), host: unbracket(match[2]!), port, params };
}

/** The topmost Via value of a message; undefined when it is missing or malformed. */
export function topVia(values: readonly string[]): Via | undefined {
  const first = splitList(values[0] ?? '')?.[0];
  return first === undefined ? undefined : parseVia(first);
}

/** Removes the topmost Via value, even if it shares a line with others. `instead` takes its place. */
export function replaceTopVia(headers: Headers, ...instead: readonly string[]): void {
  const [first = '', ...others] = headers.all('via');
  const rest = (splitList(first) ?? []).slice(1);
  headers.replace('Via', [...instead, ...(rest.length === 0 ? [] : [rest.join(', ')]), ...others]);
}

/** Writes a Via value. */
export function formatVia(via: Via): string {
  let text = `SIP/2.0/${via.transport} ${hostPort(via.host, via.port)}`;
  for (const [name, value] of via.params) text += value === '' ? `;${name}` : `;${name}=${value}`;
  return text;
}
