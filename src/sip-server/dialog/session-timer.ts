import { readNumber } from '../message/grammar.js';
import type { Headers } from '../message/headers.js';
import { TRANSACTION_TIMEOUT, Timers } from '../transaction/timing.js';

/** The smallest session interval of RFC 4028 section 5, in seconds. */
export const MIN_SESSION_SECONDS = 90;

/** A Session-Expires value. */
interface SessionExpires {
  readonly seconds: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

/** The session interval that both sides agreed on. */
export interface SessionInterval {
  readonly seconds: number;
  readonly refreshedByUs: boolean;
}

/** Reads Session-Expires; undefined when it is missing or malformed. */
export function readSessionExpires(headers: Headers): SessionExpires | undefined {
  const [value = '', ...params] = (headers.get('session-expires') ?? '').split(';');
  const seconds = readNumber(value.trim(), 2 ** 31 - 1);
  if (seconds === undefined) return undefined;
  return { seconds, refresher: params.map(readRefresher).find((refresher) => refresher !== undefined) };
}

function readRefresher(param: string): SessionExpires['refresher'] {
  const value = /^\s*refresher\s*=\s*(uac|uas)\s*$/i.exec(param)?.[1]?.toLowerCase();
  return value === 'uac' || value === 'uas' ? value : undefined;
}

/** Whether the sender of a message supports session timers. */
export function supportsTimer(headers: Headers): boolean {
  const listed = [...headers.all('supported'), ...headers.all('require')].join(',');
  return /(?:^|[,\s])timer(?:$|[,\s])/i.test(listed);
}

/**
 * The session timer of one dialog (RFC 4028 section 10): calls back when to refresh and when the session has expired.
 */
export class SessionTimer {
  readonly terms: SessionInterval;
  /** When it began, in epoch milliseconds. */
  readonly since: number;
  readonly #timers = new Timers<'refresh' | 'expire'>();

  /** @param elapsed ms since the session was agreed on or refreshed, if another process has run the timer so far */
  constructor(terms: SessionInterval, refresh: () => void, expired: () => void, elapsed = 0) {
    this.terms = terms;
    this.since = Date.now() - elapsed;
    const ms = terms.seconds * 1000;
    if (terms.refreshedByUs) {
      this.#timers.set('refresh', Math.max(0, ms / 2 - elapsed), refresh);
      this.#timers.set('expire', left(ms, elapsed), expired);
    } else this.#timers.set('expire', left(ms - Math.min(32_000, ms / 3), elapsed), expired);
  }

  stop(): void {
    this.#timers.clearAll();
  }
}

/** A refresh that came due while nobody ran the timer still has the time of a transaction. */
function left(ms: number, elapsed: number): number {
  return Math.max(ms - elapsed, Math.min(ms, TRANSACTION_TIMEOUT));
}
