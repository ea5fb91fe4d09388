import type { Log } from '../../../shared/index.js';
import type { PhoneCall } from '../call.js';
import { allow, REFUSED_IN_DIALOG, requireOnlySupported } from '../capabilities.js';
import { Refusal, refusing } from '../refusal.js';
import type { ReplaceableCalls } from '../replaces.js';
import {
  type DialogRequestEvent,
  type RequestListener,
  type SipApplication,
  type SipDialog,
  type SipRequest,
  type SipResponder,
  sourceOf,
} from '../sip.js';
import { digitOfInfo } from './dtmf-info.js';
import { OfferAnswer } from './offer-answer.js';
import { agreedTerms, type SessionIntervals, termsHeaders } from './session-terms.js';
import { Transfer } from './transfer.js';

export interface AttendOptions {
  readonly application: SipApplication;
  readonly sessionIntervals: SessionIntervals;
  /** The phone may transfer its call away by REFER. */
  readonly acceptTransfers: boolean;
  /** Those whose place an INVITE with Replaces may take. */
  readonly replaceable: ReplaceableCalls;
}

/**
 * Attends to an answered call: its dialog belongs to the call from here on, and what the phone asks inside it is
 * answered, each method as Allow says. To be called before any later message of the call is looked at.
 */
export function attend(call: PhoneCall, dialog: SipDialog, options: AttendOptions): OfferAnswer {
  // Of a phone that was transferred away, it would say nothing about the one that took its place.
  const seen = (request: SipRequest): void => {
    if (call.dialog === dialog) call.confirmed(sourceOf(request));
  };
  // Before the listener that takes an answer in the ACK.
  dialog.on('ack', seen);
  const exchange = new OfferAnswer(call, dialog);
  const { log } = call;
  takeUnknown(dialog, log, options);
  const { contact } = dialog.local;
  const headers = { Allow: allow(options), ...(contact !== undefined && { Contact: contact }) };
  const answering = (handle: Handling): RequestListener =>
    refusing(log, (request, responder) => {
      requireOnlySupported(request);
      return handle(request, responder);
    });
  const change = refusing(log, (request, responder) => {
    const terms = agreedTerms(request, options.sessionIntervals);
    return exchange.change(request, responder, { ...headers, ...termsHeaders(terms) });
  });
  const on = (event: DialogRequestEvent, listener: RequestListener): void =>
    dialog.on(event, (request, responder) => {
      seen(request);
      listener(request, responder);
    });
  on('modify', change);
  on('update', change);
  on(
    'info',
    answering((request, responder) => takeDigit(call, request, responder)),
  );
  on(
    'options',
    answering((_request, responder) => responder.send(200, { headers: { Allow: allow(options) } })),
  );
  const notAllowed = refusing(log, (request) => {
    throw methodNotAllowed(request.method, options);
  });
  for (const method of REFUSED_IN_DIALOG) on(method, notAllowed);
  on('refer', options.acceptTransfers ? transferring(call, dialog, exchange, options) : notAllowed);
  call.answered(dialog, exchange);
  options.replaceable.add(call, dialog);
  return exchange;
}

type Handling = Parameters<typeof refusing>[1];

/** Methods that drachtio-srf brings as events, or answers by itself. */
const BROUGHT = new Set([
  ...['INVITE', 'ACK', 'BYE', 'UPDATE', 'INFO', 'OPTIONS', 'REFER'],
  ...REFUSED_IN_DIALOG.map((method) => method.toUpperCase()),
]);

/** Answers what drachtio-srf does not know in a dialog: it would print that to the console, past the log. */
function takeUnknown(dialog: SipDialog, log: Log, options: AttendOptions): void {
  const handle = dialog.handle.bind(dialog);
  const refuseUnknown = refusing(log, ({ method }) => {
    // RFC 3262 section 3: no response waits for it any more.
    if (method === 'PRACK') throw new Refusal(481, 'No response waits for this PRACK.');
    if (method === 'REGISTER') throw methodNotAllowed(method, options);
    throw new Refusal(501, 'The method is not known.', { Allow: allow(options) });
  });
  dialog.handle = (request, responder) => {
    if (BROUGHT.has(request.method)) handle(request, responder);
    else refuseUnknown(request, responder);
  };
}

/** 405 with what is allowed instead. */
export function methodNotAllowed(method: string, options: { acceptTransfers: boolean }): Refusal {
  return new Refusal(405, `${method} is not taken here.`, { Allow: allow(options) });
}

function takeDigit(call: PhoneCall, info: SipRequest, responder: SipResponder): void {
  const pressed = digitOfInfo(info);
  if (pressed) call.dtmf('info', pressed.digit, pressed.durationMs);
  responder.send(200, {});
}

function transferring(
  call: PhoneCall,
  dialog: SipDialog,
  exchange: OfferAnswer,
  options: AttendOptions,
): RequestListener {
  const { application } = options;
  const transfer = new Transfer(call, dialog, {
    application,
    exchange,
    attend: (next) => attend(call, next, options),
  });
  return refusing(call.log, (request, responder) => {
    requireOnlySupported(request);
    transfer.onRefer(request, responder);
  });
}
