import { type AddressFilter, holdsToken, maskTokens } from '../../shared/index.js';
import type { DeviceInfo } from '../../core/index.js';
import { uriParts } from './tokens/authenticate.js';
import { header, type SipRequest } from './sip.js';

/** Names and numbers beyond this are cut: they are shown to people and kept in records. */
const MAX_LENGTH = 128;

/** A header's value may be longer: it is for programs. */
const MAX_HEADER_LENGTH = 1024;
/** A token that begins in what is shown is known by this much: one that is longer shows no signature. */
const MAX_SEARCHED = 4 * MAX_HEADER_LENGTH;

/**
 * Who calls whom, for records and for show. From the peers that are trusted (RFC 3325) P-Asserted-Identity goes
 * before From. A token in the Request-URI's user part is not what was called.
 */
export function calledAndCaller(
  invite: SipRequest,
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

/** The headers of an INVITE that the operator wants shown, by the names that the operator gave them. */
export function shownHeaders(invite: SipRequest, names: readonly string[]): Pick<DeviceInfo, 'headers'> {
  const shown = names.flatMap((name) => {
    const value = header(invite, name);
    // A token that stands in one of them is nobody's business.
    return value === undefined || holdsToken(value.slice(0, MAX_SEARCHED))
      ? []
      : [[name, value.slice(0, MAX_HEADER_LENGTH)] as const];
  });
  return shown.length === 0 ? {} : { headers: Object.fromEntries(shown) };
}

/** Display name and user part (number) of the first name-addr or addr-spec in a header, tokens hidden. */
function identity(value: string): { user?: string; name?: string } {
  const { name, uri } = firstAddress(value);
  const user = userOf(uri);
  return { ...(user !== '' && { user: shown(user) }), ...(name !== '' && { name: shown(name) }) };
}

/** Cut after tokens are hidden: a token that is cut would not be known as one. */
function shown(text: string): string {
  return maskTokens(text).slice(0, MAX_LENGTH);
}

function userOf(uri: string): string {
  return /^tel:/i.test(uri) ? uri.slice('tel:'.length).split(';', 1)[0]! : uriParts(uri).user;
}

/** An address in a header, as far as it can be read. */
interface NamedAddress {
  /** Display name without quotes; empty when there is none. */
  readonly name: string;
  readonly uri: string;
}

/**
 * The first name-addr or addr-spec of a header (RFC 3261 section 20.10), without judging it. Each character is looked
 * at once or twice, however hostile the text: no pattern tries it in every way.
 */
export function firstAddress(value: string): NamedAddress {
  const text = value.trim();
  const { name, open } = text.startsWith('"') ? quotedName(text) : bareName(text);
  const close = open < 0 ? -1 : text.indexOf('>', open);
  if (close >= 0) return { name, uri: text.slice(open + 1, close).trim() };
  const end = text.search(/[;,]/);
  return { name: '', uri: (end < 0 ? text : text.slice(0, end)).trim() };
}

/** A display name, and where the `<` after it stands; -1 when there is none. */
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

/** A comma may stand in it, unless an address stands before the comma. */
function bareName(text: string): NameBefore {
  const open = text.search(/[<"]/);
  return text[open] === '<' && !/^(?:sips?|tel):/i.test(text)
    ? { name: text.slice(0, open).trim(), open }
    : { name: '', open: -1 };
}
