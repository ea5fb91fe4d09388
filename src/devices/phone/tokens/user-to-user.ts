import { tokensIn } from '../../../shared/index.js';

/** One value of a User-to-User header (RFC 7433). */
interface UuiValue {
  readonly data: string;
  /** Lower case. */
  readonly encoding?: string;
}

/** So many values are searched. */
const MAX_VALUES = 8;

/**
 * The tokens in a User-to-User header, the likeliest first: values with `encoding=jwt`, then everything that looks like a
 * token. The clients' helpers spell the header differently: the call id beside the token may have the token's encoding, or
 * the comma between both may be missing.
 * @param header the header's lines, joined by commas
 */
export function tokensInUserToUser(header: string): string[] {
  const values = splitOutsideQuotes(header, ',').slice(0, MAX_VALUES).map(parseValue);
  const marked = values.filter(({ encoding }) => encoding === 'jwt').flatMap(({ data }) => tokensIn(data));
  const hex = values.flatMap(({ data }) => tokensIn(fromHex(data)));
  return [...new Set([...marked, ...tokensIn(header), ...hex])].slice(0, MAX_VALUES);
}

/**
 * Decodes a value in hexadecimal, which is the default of RFC 7433 and all that ISDN gateways support; empty for other
 * values. The decoded text may begin with a protocol discriminator of ITU-T Q.931, or a type and a length, before the token.
 */
function fromHex(data: string): string {
  return /^(?:[0-9a-f]{2})+$/i.test(data) ? Buffer.from(data, 'hex').toString('latin1') : '';
}

/** Whether a whole text looks like a token. */
export function looksLikeToken(text: string): boolean {
  return tokensIn(text)[0] === text;
}

function parseValue(value: string): UuiValue {
  const [data = '', ...parameters] = splitOutsideQuotes(value, ';').map((part) => part.trim());
  const encoding = parameters.map(parseParameter).find(({ name }) => name === 'encoding');
  return { data: unquoted(data), ...(encoding && { encoding: encoding.value.toLowerCase() }) };
}

function parseParameter(parameter: string): { name: string; value: string } {
  const [name = '', ...rest] = parameter.split('=');
  return { name: name.trim().toLowerCase(), value: unquoted(rest.join('=').trim()) };
}

/** The content of a quoted-string; any other text as it is. */
export function unquoted(text: string): string {
  return /^".*"$/s.test(text) ? text.slice(1, -1).replace(/\\(.)/gs, '$1') : text;
}

/** Splits a header's value, but not inside its quoted strings. */
export function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quotes = false;
  for (let i = 0; i < text.length; i += 1) {
    if (quotes && text[i] === '\\') i += 1;
    else if (text[i] === '"') quotes = !quotes;
    else if (!quotes && text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
