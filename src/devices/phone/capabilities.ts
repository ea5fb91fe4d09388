import { firstAddress } from './caller.js';
import { Refusal } from './refusal.js';
import { header, listed, SDP_TYPE, sdpOf, type SipMessage, type SipRequest } from './sip.js';

/** Option tags of the extensions that we support (RFC 4028, RFC 3262, RFC 3891). */
export const SUPPORTED = 'timer, 100rel, replaces';

/** Methods that are refused with 405 inside a call. REFER is too, unless transfers are accepted. */
export const REFUSED_IN_DIALOG = ['message', 'notify', 'subscribe', 'publish'] as const;

/** Methods that are refused with 405 outside of calls. */
export const REFUSED_OUTSIDE = [...REFUSED_IN_DIALOG, 'refer', 'register'] as const;

/** The Allow header. */
export function allow(options: { readonly acceptTransfers: boolean }): string {
  const methods = 'INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO';
  return options.acceptTransfers ? `${methods}, REFER` : methods;
}

/**
 * @throws Refusal 420 when a request requires an extension that we do not support (RFC 3261 section 8.2.2.3), 400 when it
 * has Replaces and is no INVITE (RFC 3891 section 3)
 */
export function requireOnlySupported(request: SipRequest): void {
  if (request.method !== 'INVITE' && header(request, 'replaces') !== undefined)
    throw new Refusal(400, 'Only an INVITE may replace a call.');
  const supported = SUPPORTED.split(', ');
  const unsupported = listed(request, 'require').filter((tag) => !supported.includes(tag));
  if (unsupported.length === 0) return;
  const tags = unsupported.join(', ');
  throw new Refusal(420, `Not supported: ${tags}.`, { Unsupported: tags });
}

/**
 * Without a usable Contact we could not send BYE, and drachtio-srf parses these headers only after the 200 was sent.
 * @throws Refusal 400 when From, To or Contact cannot be used (RFC 3261 section 8.1.1.8)
 */
export function requireUsableParties(invite: SipRequest): void {
  for (const name of ['from', 'to', 'contact']) {
    try {
      invite.getParsedHeader(name);
    } catch (error) {
      throw new Refusal(400, `${name} cannot be read.`, {}, { cause: error });
    }
  }
  requireUsableContact(invite);
}

/** @throws Refusal 400 when our requests could not be sent to the Contact of a request */
export function requireUsableContact(request: SipMessage): void {
  const contact = header(request, 'contact');
  if (contact !== undefined && !/^sips?:[^\s<>"]+$/i.test(firstAddress(contact).uri))
    throw new Refusal(400, 'Contact has no SIP URI.');
}

/** @throws Refusal 406 when the caller does not accept a session description (RFC 3261 section 20.1) */
export function requireSdpIfAccepted(request: SipMessage): void {
  // Without the header SDP is accepted; an empty header accepts nothing.
  if (header(request, 'accept') === undefined) return;
  const ranges = listed(request, 'accept').map((range) => range.replace(/\s/g, '').split(';'));
  const accepts = ranges.some(
    ([range, ...parameters]) =>
      [SDP_TYPE, 'application/*', '*/*'].includes(range!) &&
      !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)),
  );
  if (!accepts) throw new Refusal(406, 'Accept lists no session description.', { Accept: SDP_TYPE });
}

/** @throws Refusal 415 when a request has a body without a session description (RFC 3261 section 8.2.3) */
export function requireSdpIfBody(request: SipMessage): void {
  if ((request.body ?? '').trim() === '' || sdpOf(request) !== undefined) return;
  throw new Refusal(415, 'The body is no session description.', { Accept: SDP_TYPE });
}
