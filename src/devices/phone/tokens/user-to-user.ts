import { tokensIn } from '../../../shared/index.js';

/** One value of a User-to-User header (RFC 7433). */
interface UuiValue {
  readonly data: string;
  /** Lower case. */
  readonly encoding?: string;
}

/** Values beyond this many are not looked at. */
const MAX_VALUES = 8;

/**
 * The tokens in a User-to-User header, likeliest first: values that say `encoding=jwt`, then whatever else looks
 * like a token. The clients' helpers do not agree on the spelling: the call id may be beside the token with the
 * encodings swapped, or run into it with the comma left out; so the look of a token decides in the end.
 * @param header the header's lines, joined by commas
 */
export function tokensInUserToUser(header: string): string[] {
  const values = splitOutsideQuotes(header, ',').slice(0, MAX_VALUES).map(parseValue);
  const marked = values.filter(({ encoding }) => encoding === 'jwt').flatMap(({ data }) => tokensIn(data));
  const hex = values.flatMap(({ data }) => tokensIn(fromHex(data)));
  return [...new Set([...marked, ...tokensIn(header), ...hex])].slice(0, MAX_VALUES);
}

/**
 * What a value in hexadecimal digits says, which is RFC 7433's default and all that ISDN gateways know; empty for any
 * other. A protocol discriminator of ITU-T Q.931, or a type and a length, may stand before: no part of a token.
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

/** What a quoted-string says; any other text as it is. */
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
