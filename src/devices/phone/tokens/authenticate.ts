import { holdsToken, tokensIn } from '../../../shared/index.js';
import { type DeviceGate, type Participant, PatchbayError } from '../../../core/index.js';
import { header, type SipRequest } from '../sip.js';
import { looksLikeToken, tokensInUserToUser } from './user-to-user.js';

/** So many tokens of one INVITE are tried: each costs a signature check. */
const MAX_TOKENS = 8;

/** The parts of a request that may carry tokens. */
type TokenCarrier = Pick<SipRequest, 'uri' | 'get'>;

/** Every token that an INVITE carries, in the order in which they are tried. */
export function tokensOf(invite: TokenCarrier, tokenHeaders: readonly string[]): string[] {
  const tokens = [
    ...tokensInUserToUser(header(invite, 'user-to-user') ?? ''),
    ...tokensInUri(invite.uri),
    ...tokenHeaders.flatMap((name) => tokensIn(header(invite, name) ?? '')),
  ];
  return [...new Set(tokens)].slice(0, MAX_TOKENS);
}

/**
 * The participant of an INVITE's valid tokens.
 * @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED, PARTICIPANT_NOT_FOUND: the error of the first token when none is valid;
 * TOKENS_DISAGREE when valid tokens belong to different participants
 */
export async function authenticate(
  invite: TokenCarrier,
  tokenHeaders: readonly string[],
  gate: Pick<DeviceGate, 'authenticate'>,
): Promise<Participant> {
  let first: Participant | undefined;
  let failure: PatchbayError | undefined;
  for (const token of tokensOf(invite, tokenHeaders)) {
    try {
      const participant = await gate.authenticate(token);
      if (first && first.id !== participant.id) {
        throw new PatchbayError('PATCHBAY_TOKENS_DISAGREE', 'The tokens belong to different participants.');
      }
      first = participant;
    } catch (error) {
      if (!(error instanceof PatchbayError) || error.code === 'PATCHBAY_TOKENS_DISAGREE') throw error;
      failure ??= error;
    }
  }
  if (first) return first;
  throw failure ?? new PatchbayError('PATCHBAY_TOKEN_INVALID', whereIsTheToken(invite, tokenHeaders));
}

/** Headers in which applications and carriers are known to put a token by mistake. */
const OFTEN_MISTAKEN = [
  'X-Token',
  'X-Participant-Token',
  'Authorization',
  'X-User-to-User',
  'User-to-User-Data',
  'To',
];

/** Explains where a token was looked for, and where there may be one by mistake. */
function whereIsTheToken(invite: TokenCarrier, tokenHeaders: readonly string[]): string {
  const looked = ['User-to-User', 'the Request-URI', ...tokenHeaders].join(', ');
  const misplaced = OFTEN_MISTAKEN.find((name) => holdsToken(header(invite, name) ?? ''));
  if (misplaced !== undefined) {
    return `The INVITE carries a token in ${misplaced}, but tokens are looked for only in ${looked}.`;
  }
  if (header(invite, 'user-to-user') !== undefined) return 'User-to-User does not carry a participant token.';
  return `The INVITE carries no participant token (looked for in ${looked}).`;
}

/** Whether an INVITE carries a valid token, as far as is known here. */
export function carriesToken(
  invite: TokenCarrier,
  tokenHeaders: readonly string[],
  gate: Pick<DeviceGate, 'recognizes'>,
): boolean {
  return tokensOf(invite, tokenHeaders).some((token) => gate.recognizes(token));
}

/** The parts of a SIP URI, unescaped. */
interface UriParts {
  readonly user: string;
  readonly host: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly headers: ReadonlyMap<string, string>;
}

/** Splits a SIP URI (RFC 3261 section 19.1.1) without validating it. Names are in lower case. */
export function uriParts(uri: string): UriParts {
  const afterScheme = uri.replace(/^sips?:/i, '');
  const at = afterScheme.lastIndexOf('@');
  const rest = afterScheme.slice(at + 1);
  const question = rest.indexOf('?');
  const [host = '', ...parameters] = (question < 0 ? rest : rest.slice(0, question)).split(';');
  return {
    user: unescaped(afterScheme.slice(0, Math.max(at, 0)).replace(/[;:].*$/s, '')),
    host: host.replace(/:\d+$/, ''),
    parameters: pairs(parameters),
    headers: pairs(question < 0 ? [] : rest.slice(question + 1).split('&')),
  };
}

/** The tokens of a Request-URI: in the `token=` parameter, the user part, or `?User-to-User=`. */
export function tokensInUri(uri: string): string[] {
  const { user, parameters, headers } = uriParts(uri);
  const parameter = parameters.get('token');
  return [
    ...(parameter === undefined ? [] : [parameter]),
    ...(looksLikeToken(user) ? [user] : []),
    ...tokensInUserToUser(headers.get('user-to-user') ?? ''),
  ];
}

function pairs(items: readonly string[]): Map<string, string> {
  return new Map(
    items.map((item) => {
      const equals = item.indexOf('=');
      const name = equals < 0 ? item : item.slice(0, equals);
      return [unescaped(name).toLowerCase(), equals < 0 ? '' : unescaped(item.slice(equals + 1))] as const;
    }),
  );
}

/** Text with malformed escapes is returned as it is. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
