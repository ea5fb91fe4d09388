import { looksLikeToken, tokensInUserToUser } from './user-to-user.js';

/** The parts of a SIP URI that may carry a token. All unescaped. */
export interface UriParts {
  readonly user: string;
  readonly host: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly headers: ReadonlyMap<string, string>;
}

/** Splits a SIP URI (RFC 3261 section 19.1.1) without judging it. Names are in lower case. */
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

/** The tokens that a Request-URI carries: `token=` parameter, user part, or `?User-to-User=`. */
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

/** What is badly escaped stays as it is. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
