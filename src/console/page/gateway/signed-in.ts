import { signal } from '@preact/signals';
import { actions, ask } from './client.js';
import { forgetTokens } from './tokens.js';

/** Who is signed in, as `GET /console/me` answers. */
interface Me {
  /** Ids of the accounts that are open; empty: nobody is signed in. */
  readonly accounts: readonly string[];
  readonly user?: string;
  readonly isOperator: boolean;
  /** The signed-in account is the one for development. */
  readonly development: boolean;
  /** The gateway has its development account, which anybody may use. */
  readonly developmentSignIn: boolean;
  readonly version?: string;
  /** What phones call, as `sip:host:port`; absent while no SIP server is known. */
  readonly sipUri?: string;
}

/** Undefined until the gateway has answered for the first time. */
export const me = signal<Me | undefined>(undefined);

/** The gateway's development account, known to everybody: the README names its password. */
const DEVELOPMENT = { user: 'patchbay', password: 'patchbay' };

/** Addresses of a server that listens on all of the machine's. */
const EVERY_ADDRESS = new Set(['0.0.0.0', '[::]', '::']);

/** Host and port that phones call; the host of this page when the gateway listens on all of its addresses. */
export function sipAddress(): string {
  const [, host = '', port = '5060'] = /^sip:(.+):(\d+)$/.exec(me.value?.sipUri ?? '') ?? [];
  return `${host === '' || EVERY_ADDRESS.has(host) ? location.hostname : host}:${port}`;
}

/** @throws ApiError by rejection */
export async function askWhoIsSignedIn(): Promise<void> {
  me.value = await ask<Me>('GET', '/console/me');
}

/** @throws ApiError by rejection: 401 when user or password is wrong, 429 after too many attempts */
export async function signIn(credentials: { user: string; password: string } = DEVELOPMENT): Promise<void> {
  await ask('POST', '/console/sign-in', credentials);
  await askWhoIsSignedIn();
}

/** @throws ApiError by rejection */
export async function signOut(): Promise<void> {
  await ask('POST', '/console/sign-out');
  actions.value = [];
  forgetTokens();
  await askWhoIsSignedIn();
}
