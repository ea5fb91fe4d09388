/** Characters of an RFC 3261 token (section 25.1). */
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

/** Whether `text` is a non-empty RFC 3261 token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Reads a decimal number without sign from 0 to `max`; undefined when it is not one. */
export function readNumber(text: string, max: number): number | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** Index after the closing quote of the quoted string that begins at `start`, or -1. */
export function endOfQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === '\\') i++;
    else if (char === '"') return i + 1;
  }
  return -1;
}

/**
 * Splits a header value at its commas, except those in quoted strings and angle brackets. Undefined when a quote or
 * bracket is not closed, or an element is empty.
 */
export function splitList(value: string): string[] | undefined {
  if (!value.includes(',')) {
    const only = value.trim();
    return only === '' ? undefined : [only];
  }
  const parts: string[] = [];
  let start = 0;
  let inBrackets = false;
  for (let i = 0; i < value.length; i++) {
    const char = value[i];
    if (char === '"' && !inBrackets) {
      const end = endOfQuoted(value, i);
      if (end < 0) return undefined;
      i = end - 1;
    } else if (char === '<') inBrackets = true;
    else if (char === '>') inBrackets = false;
    else if (char === ',' && !inBrackets) {
      parts.push(value.slice(start, i).trim());
      start = i + 1;
    }
  }
  if (inBrackets) return undefined;
  parts.push(value.slice(start).trim());
  return parts.includes('') ? undefined : parts;
}

/** Parameters of a header or a URI, by name in lower case. A parameter without a value maps to the empty string. */
export type Params = ReadonlyMap<string, string>;

const NO_PARAMS: Params = new Map();

/**
 * Reads `;name=value;name` from `text`. Values are tokens, hosts in brackets or quoted strings, kept as written.
 * Undefined when the text is malformed.
 */
export function readParams(text: string): Params | undefined {
  if (text.trim() === '') return NO_PARAMS;
  const params = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    at = skipSpace(text, at);
    if (at === text.length) break;
    if (text[at] !== ';') return undefined;
    const end = endOfParam(text, at + 1);
    if (end < 0) return undefined;
    const pair = text.slice(at + 1, end).trim();
    at = end;
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = (equals < 0 ? pair : pair.slice(0, equals)).trim();
    const value = equals < 0 ? '' : pair.slice(equals + 1).trim();
    if (!isToken(name) || !isParamValue(value)) return undefined;
    if (!params.has(name.toLowerCase())) params.set(name.toLowerCase(), value);
  }
  return params;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at++;
  return at;
}

function endOfParam(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    if (text[i] === ';') return i;
    if (text[i] === '"') {
      const end = endOfQuoted(text, i);
      if (end < 0) return -1;
      i = end - 1;
    }
  }
  return text.length;
}

function isParamValue(value: string): boolean {
  if (value.startsWith('"')) return endOfQuoted(value, 0) === value.length;
  return !/[\s"<>,;]/.test(value);
}
