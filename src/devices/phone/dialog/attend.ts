import type { PhoneCall } from '../call.js';
import { allow, REFUSED_IN_DIALOG, requireOnlySupported } from '../capabilities.js';
import { type CallObserver, Refusal, refusing } from '../refusal.js';
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
  readonly observer: CallObserver | undefined;
  readonly application: SipApplication;
  readonly sessionIntervals: SessionIntervals;
  /** Whether the phone may transfer its call by REFER. */
  readonly acceptTransfers: boolean;
  /** The calls that an INVITE with Replaces may replace. */
  readonly replaceable: ReplaceableCalls;
}

/**
 * Gives an answered call its dialog and answers the phone's requests in it: each method as Allow says. To be called
 * before any later message of the call is handled.
 */
export function attend(call: PhoneCall, dialog: SipDialog, options: AttendOptions): OfferAnswer {
  // After a transfer, requests of the first phone say nothing about where the new one is.
  const seen = (request: SipRequest): void => {
    if (call.dialog === dialog) call.confirmed(sourceOf(request));
    call.keeper.soon();
  };
  // Registered before the listener that handles an answer in the ACK, so that it is called first.
  dialog.on('ack', seen);
  const exchange = new OfferAnswer(call, dialog);
  const told = { log: call.log, observer: options.observer };
  takeUnknown(dialog, told, options);
  const { contact } = dialog.local;
  const headers = { Allow: allow(options), ...(contact !== undefined && { Contact: contact }) };
  const answering = (handle: Handling): RequestListener =>
    refusing(told, (request, responder) => {
      requireOnlySupported(request);
      return handle(request, responder);
    });
  const change = refusing(told, (request, responder) => {
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
  const notAllowed = refusing(told, (request) => {
    throw methodNotAllowed(request.method, options);
  });
  for (const method of REFUSED_IN_DIALOG) on(method, notAllowed);
  on('refer', options.acceptTransfers ? transferring(call, dialog, exchange, options) : notAllowed);
  call.answered(dialog, exchange);
  options.replaceable.add(call, dialog);
  return exchange;
}

type Told = Parameters<typeof refusing>[0];
type Handling = Parameters<typeof refusing>[1];

/** Methods that drachtio-srf emits as events, or answers by itself. */
const KNOWN_METHODS = new Set([
  ...['INVITE', 'ACK', 'BYE', 'UPDATE', 'INFO', 'OPTIONS', 'REFER'],
  ...REFUSED_IN_DIALOG.map((method) => method.toUpperCase()),
]);

/** Refuses methods that drachtio-srf does not know in a dialog: it would print them to the console instead. */
function takeUnknown(dialog: SipDialog, told: Told, options: AttendOptions): void {
  const handle = dialog.handle.bind(dialog);
  const refuseUnknown = refusing(told, ({ method }) => {
    // RFC 3262 section 3: no response is waiting for it any more.
    if (method === 'PRACK') throw new Refusal(481, 'No response is waiting for this PRACK.');
    if (method === 'REGISTER') throw methodNotAllowed(method, options);
    throw new Refusal(501, 'The method is not known.', { Allow: allow(options) });
  });
  dialog.handle = (request, responder) => {
    if (KNOWN_METHODS.has(request.method)) handle(request, responder);
    else refuseUnknown(request, responder);
  };
}

/** 405 with the allowed methods. */
export function methodNotAllowed(method: string, options: { acceptTransfers: boolean }): Refusal {
  return new Refusal(405, `${method} is not allowed here.`, { Allow: allow(options) });
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
  return refusing({ log: call.log, observer: options.observer }, (request, responder) => {
    requireOnlySupported(request);
    transfer.onRefer(request, responder);
  });
}
