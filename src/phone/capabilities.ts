import { Refusal } from './refusal.js';
import type { SipMessage } from './sip.js';
import { listed, sdpOf, SDP_TYPE } from './sip.js';

/** Option tags of the extensions that phones may require of us (RFC 4028, RFC 3262). */
export const SUPPORTED = 'timer, 100rel';

/** Methods that are known but not taken inside a call; REFER is, where transfers are accepted. */
export const REFUSED_IN_DIALOG = ['message', 'notify', 'subscribe', 'publish'] as const;

/** Methods that are known but not taken outside of calls. */
export const REFUSED_OUTSIDE = [...REFUSED_IN_DIALOG, 'refer', 'register'] as const;

/** The Allow header. */
export function allow(options: { readonly acceptTransfers: boolean }): string {
  const methods = 'INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO';
  return options.acceptTransfers ? `${methods}, REFER` : methods;
}

/** @throws Refusal 420 when a request requires an extension that is not ours (RFC 3261 section 8.2.2.3) */
export function requireOnlySupported(request: SipMessage): void {
  const supported = SUPPORTED.split(', ');
  const unsupported = listed(request, 'require').filter((tag) => !supported.includes(tag));
  if (unsupported.length === 0) return;
  const tags = unsupported.join(', ');
  throw new Refusal(420, `Not supported: ${tags}.`, { Unsupported: tags });
}

/** @throws Refusal 415 when a request has a body, but no session description in it (RFC 3261 section 8.2.3) */
export function requireSdpIfBody(request: SipMessage): void {
  if ((request.body ?? '').trim() === '' || sdpOf(request) !== undefined) return;
  throw new Refusal(415, 'The body is no session description.', { Accept: SDP_TYPE });
}
