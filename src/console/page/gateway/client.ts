import { signal } from '@preact/signals';

/** What the gateway answered instead of what was asked for. */
export class ApiError extends Error {
  /** HTTP status; 0: the gateway was not reached. */
  readonly status: number;
  /** Stable code of the error, such as `PATCHBAY_NOT_FOUND`; empty when the gateway was not reached. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A change that was asked for by click, as it is shown with its curl line. */
interface Action {
  readonly at: Date;
  readonly method: Method;
  /** Of the account, such as `/v1/accounts/9900000/sessions`. */
  readonly path: string;
  readonly body?: string;
  /** Its HTTP status; 0: the gateway was not reached. */
  readonly status: number;
}

const MAX_ACTIONS = 50;

/** The latest changes first. */
export const actions = signal<readonly Action[]>([]);

/** Tells the gateway that no browser dialog for Basic credentials is wanted, and that the request is not a form's. */
const HEADERS = { 'x-patchbay-console': '1' };

/**
 * Asks the gateway, with the cookie of the one who is signed in.
 * @throws ApiError by rejection, whatever goes wrong
 */
export async function ask<T>(method: Method, path: string, body?: object): Promise<T> {
  const text = body && JSON.stringify(body);
  const response = await fetch(path, {
    method,
    headers: text === undefined ? HEADERS : { ...HEADERS, 'content-type': 'application/json' },
    ...(text !== undefined && { body: text }),
    cache: 'no-store',
  }).catch(() => undefined);
  if (method !== 'GET')
    remember({ method, path, status: response?.status ?? 0, ...(text && { body: text }) });
  if (!response) throw new ApiError(0, '', 'The gateway cannot be reached. Is it running?');
  const answer = await response.text().catch(() => '');
  if (!response.ok) throw errorOf(response.status, answer);
  return (answer === '' ? undefined : JSON.parse(answer)) as T;
}

function errorOf(status: number, answer: string): ApiError {
  try {
    const { error, reason, code } = JSON.parse(answer) as { error?: string; reason?: string; code?: string };
    return new ApiError(status, reason ?? code ?? '', error ?? `The gateway answered ${status}.`);
  } catch {
    return new ApiError(status, '', `The gateway answered ${status}.`);
  }
}

function remember(action: Omit<Action, 'at'>): void {
  // Signing in has a password in it, and is nothing that an application does.
  if (!action.path.startsWith('/v1/')) return;
  actions.value = [{ at: new Date(), ...action }, ...actions.value].slice(0, MAX_ACTIONS);
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** The line for a shell that does the same; the password is left to whoever runs it. */
export function curlOf(
  { method, path, body }: Pick<Action, 'method' | 'path' | 'body'>,
  user: string,
): string {
  const parts = [
    'curl',
    '-u',
    quoted(user),
    ...(method === 'POST' && body !== undefined ? [] : ['-X', method]),
  ];
  if (body !== undefined) parts.push('-H', "'content-type: application/json'", '-d', quoted(body));
  return [...parts, quoted(location.origin + path)].join(' ');
}
