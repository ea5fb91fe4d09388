import { type AddressFilter, holdsToken, maskTokens } from '../../shared/index.js';
import type { DeviceInfo } from '../../core/index.js';
import { uriParts } from './tokens/authenticate.js';
import { header, type SipRequest } from './sip.js';

/** Longer names and numbers are cut, since they are displayed and stored. */
const MAX_LENGTH = 128;

/** Header values may be longer than names: programs read them. */
const MAX_HEADER_LENGTH = 1024;
/**
 * How much of a header is searched for a token. If a token is longer than that, its signature lies beyond the shown part.
 */
const MAX_SEARCHED = 4 * MAX_HEADER_LENGTH;

/**
 * Who calls whom, for display and for records. P-Asserted-Identity of trusted peers (RFC 3325) takes precedence over From.
 * A token in the user part of the Request-URI is not a called number.
 */
export function calledAndCaller(
  invite: Pick<SipRequest, 'uri' | 'get' | 'source_address'>,
  isTrusted: AddressFilter,
): Pick<DeviceInfo, 'caller' | 'callerName' | 'called'> {
  const from = identity(header(invite, 'from') ?? '');
  const asserted = isTrusted(invite.source_address)
    ? identity(header(invite, 'p-asserted-identity') ?? '')
    : {};
  const caller = asserted.user ?? from.user;
  const callerName = asserted.name ?? from.name;
  const to = firstAddress(header(invite, 'to') ?? '').uri;
  const called = [uriParts(invite.uri).user, userOf(to)].find((user) => user !== '' && !holdsToken(user));
  return {
    ...(caller !== undefined && { caller }),
    ...(callerName !== undefined && { callerName }),
    ...(called !== undefined && { called: called.slice(0, MAX_LENGTH) }),
  };
}

/** The headers of an INVITE that the operator wants shown, with the names as configured. */
export function shownHeaders(invite: SipRequest, names: readonly string[]): Pick<DeviceInfo, 'headers'> {
  const shown = names.flatMap((name) => {
    const value = header(invite, name);
    // A header with a token is left out: the token is secret.
    return value === undefined || holdsToken(value.slice(0, MAX_SEARCHED))
      ? []
      : [[name, value.slice(0, MAX_HEADER_LENGTH)] as const];
  });
  return shown.length === 0 ? {} : { headers: Object.fromEntries(shown) };
}

/** Display name and user part (number) of the first name-addr or addr-spec in a header, with tokens masked. */
function identity(value: string): { user?: string; name?: string } {
  const { name, uri } = firstAddress(value);
  const user = userOf(uri);
  return { ...(user !== '' && { user: shown(user) }), ...(name !== '' && { name: shown(name) }) };
}

/** Masks tokens before cutting, since a cut token is not recognized. */
function shown(text: string): string {
  return maskTokens(text).slice(0, MAX_LENGTH);
}

function userOf(uri: string): string {
  return /^tel:/i.test(uri) ? uri.slice('tel:'.length).split(';', 1)[0]! : uriParts(uri).user;
}

/** A name-addr or addr-spec. */
interface NamedAddress {
  /** Display name without quotes; empty when there is none. */
  readonly name: string;
  readonly uri: string;
}

/**
 * The first name-addr or addr-spec of a header (RFC 3261 section 20.10); its URI is not validated. Takes linear time for
 * hostile text too: no backtracking patterns.
 */
export function firstAddress(value: string): NamedAddress {
  const text = value.trim();
  const { name, open } = text.startsWith('"') ? quotedName(text) : bareName(text);
  const close = open < 0 ? -1 : text.indexOf('>', open);
  if (close >= 0) return { name, uri: text.slice(open + 1, close).trim() };
  const end = text.search(/[;,]/);
  return { name: '', uri: (end < 0 ? text : text.slice(0, end)).trim() };
}

/** A display name, and the position of the `<` after it; -1 when there is none. */
interface NameBefore {
  readonly name: string;
  readonly open: number;
}

function quotedName(text: string): NameBefore {
  let name = '';
  let at = 1;
  for (; at < text.length && text[at] !== '"'; at += 1) {
    if (text[at] === '\\') at += 1;
    name += text[at] ?? '';
  }
  const rest = text.slice(at + 1).trimStart();
  return rest.startsWith('<')
    ? { name: name.trim(), open: text.length - rest.length }
    : { name: '', open: -1 };
}

/** A display name without quotes. It may have a comma, unless the text begins with a URI. */
function bareName(text: string): NameBefore {
  const open = text.search(/[<"]/);
  return text[open] === '<' && !/^(?:sips?|tel):/i.test(text)
    ? { name: text.slice(0, open).trim(), open }
    : { name: '', open: -1 };
}
