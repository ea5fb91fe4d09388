import type { SipResponse } from '../message/message.js';

/** Statuses that tell the caller how to do better, and so come before others of their class. */
const TELLING = [401, 407, 415, 420, 484];

/**
 * The final response that goes back when no target accepted (RFC 3261 section 16.7, steps 6 and 7): a 6xx, else one
 * of the lowest class. The challenges of all that were challenged go with it. Undefined when there is none.
 */
export function bestResponse(responses: readonly SipResponse[]): SipResponse | undefined {
  const [best] = [...responses].sort((a, b) => rank(a.status) - rank(b.status));
  if (best?.status !== 401 && best?.status !== 407) return best;
  const headers = best.headers.copy();
  for (const response of responses) {
    if (response === best || (response.status !== 401 && response.status !== 407)) continue;
    for (const name of ['WWW-Authenticate', 'Proxy-Authenticate']) {
      for (const value of response.headers.all(name.toLowerCase())) headers.add(name, value);
    }
  }
  return { ...best, headers };
}

function rank(status: number): number {
  if (status >= 600) return 0;
  return Math.floor(status / 100) * 10 + (TELLING.includes(status) ? 0 : 1);
}
