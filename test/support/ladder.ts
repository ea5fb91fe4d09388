import type { Rest } from './rest.js';

interface SipMessage {
  readonly direction: 'in' | 'out';
  readonly method: string;
  readonly status?: number;
  readonly repeated: boolean;
}

/** Where REST has the SIP messages of a call. */
export const tracePath = (callId: string): string => `/calls/${encodeURIComponent(callId)}/trace`;

/**
 * The SIP messages of a call by REST, as `in  INVITE` or `out 200 INVITE`. A 100 and retransmissions may come or not: they are
 * left out.
 */
export async function ladderOf(rest: Rest, callId: string): Promise<readonly string[]> {
  const { items } = (await rest.request('GET', tracePath(callId))) as { items: SipMessage[] };
  return items
    .filter(({ status, repeated }) => status !== 100 && !repeated)
    .map(({ direction, method, status }) => `${direction} ${status ?? ''} ${method}`);
}
