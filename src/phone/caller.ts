import { type AddressFilter, holdsToken, maskTokens } from '../shared/index.js';
import type { DeviceInfo } from '../core/types.js';
import { firstAddress } from './name-addr.js';
import { uriParts } from './tokens/uri-tokens.js';
import type { SipRequest } from './sip.js';
import { header } from './sip.js';

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
