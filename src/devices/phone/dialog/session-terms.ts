import { Refusal } from '../refusal.js';
import type { Headers, SipMessage } from '../sip.js';
import { header, lists } from '../sip.js';

/** The shortest session interval in seconds that RFC 4028 section 4 allows. */
export const MIN_SE_S = 90;

/** The configured session intervals, in seconds. */
export interface SessionIntervals {
  /** Used for phones that support session timers but name no interval; 0: no timer. */
  readonly wantedS: number;
  /** The shortest that phones may ask for. */
  readonly leastS: number;
}

/**
 * Session timer (RFC 4028): how long a session lives without a refresh, and who refreshes it. The terms are agreed on
 * here. The SIP server reads them from our 2xx and runs the timer: it sends our refreshes, and ends the call when a
 * refresh of the phone is missing.
 */
interface SessionTerms {
  /** Seconds. */
  readonly expires: number;
  readonly refresher: 'us' | 'phone';
}

/**
 * The terms for an INVITE, re-INVITE or UPDATE of the phone; undefined: no session timer. A phone that can refresh the
 * session does so.
 * @throws Refusal 422 when the phone asks for a shorter interval than allowed
 */
export function agreedTerms(
  request: SipMessage,
  { wantedS, leastS }: SessionIntervals,
): SessionTerms | undefined {
  const phoneKnowsTimers = lists(request, 'supported', 'timer') || lists(request, 'require', 'timer');
  const asked = parseSessionExpires(request);
  if (!asked) {
    return phoneKnowsTimers && wantedS > 0
      ? { expires: Math.max(wantedS, minSeOf(request, leastS)), refresher: 'phone' }
      : undefined;
  }
  if (asked.expires < leastS) {
    // A proxy added the header: the phone does not support timers and would not understand 422 (section 9).
    if (!phoneKnowsTimers) return undefined;
    throw new Refusal(422, `The session interval is shorter than ${leastS} s.`, {
      'Min-SE': String(leastS),
    });
  }
  const byPhone = phoneKnowsTimers && asked.refresher !== 'uas';
  return { expires: asked.expires, refresher: byPhone ? 'phone' : 'us' };
}

/** The headers of a 2xx that tell the phone the terms. */
export function termsHeaders(terms: SessionTerms | undefined): Headers {
  if (!terms) return {};
  const session = {
    'Session-Expires': `${terms.expires};refresher=${terms.refresher === 'us' ? 'uas' : 'uac'}`,
  };
  return terms.refresher === 'phone' ? { ...session, Require: 'timer' } : session;
}

/** The shortest interval that the phone, its proxies and we accept. */
function minSeOf(message: SipMessage, leastS: number): number {
  const seconds = Number.parseInt(header(message, 'min-se') ?? '', 10);
  return Number.isSafeInteger(seconds) && seconds > leastS ? seconds : leastS;
}

function parseSessionExpires(
  message: SipMessage,
): { expires: number; refresher?: 'uac' | 'uas' } | undefined {
  const value = header(message, 'session-expires');
  const [, seconds, parameters = ''] = /^\s*(\d{1,9})\s*(;.*)?$/s.exec(value ?? '') ?? [];
  if (seconds === undefined) return undefined;
  const [, refresher] = /;\s*refresher\s*=\s*(uac|uas)\b/i.exec(parameters) ?? [];
  return {
    expires: Number(seconds),
    ...(refresher !== undefined && { refresher: refresher.toLowerCase() as 'uac' | 'uas' }),
  };
}
