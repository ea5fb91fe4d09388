import { allow, REFUSED_IN_DIALOG } from './capabilities.js';
import type { PhoneCall } from './call.js';
import { digitOfInfo } from './dtmf-info.js';
import type { OfferAnswer } from './offer-answer.js';
import { Refusal } from './refusal.js';
import { refusing } from './respond.js';
import { agreedTerms, termsHeaders } from './session-terms.js';
import type { SipDialog, SipRequest, SipResponder } from './sip.js';

export interface DialogParts {
  readonly exchange: OfferAnswer;
  /** Session interval in seconds that we ask for; 0: none. */
  readonly sessionExpiresS: number;
}

/** Answers what the phone asks inside its call, each method as Allow says. */
export function attendDialog(call: PhoneCall, dialog: SipDialog, parts: DialogParts): void {
  const change = refusing(call.log, (request, responder) => changeSession(request, responder, parts));
  dialog.on('modify', change);
  dialog.on('update', change);
  dialog.on(
    'info',
    refusing(call.log, (request, responder) => {
      const pressed = digitOfInfo(request);
      if (pressed) call.dtmf('info', pressed.digit, pressed.durationMs);
      responder.send(200, {});
    }),
  );
  dialog.on('options', (_request, responder) =>
    responder.send(200, { headers: { Allow: allow({ refer: false }) } }),
  );
  const notAllowed = refusing(call.log, (request) => {
    throw methodNotAllowed(request.method);
  });
  for (const method of REFUSED_IN_DIALOG) dialog.on(method, notAllowed);
}

/** 405 with what is allowed instead. */
export function methodNotAllowed(method: string): Refusal {
  return new Refusal(405, `${method} is not taken here.`, { Allow: allow({ refer: false }) });
}

async function changeSession(
  request: SipRequest,
  responder: SipResponder,
  { exchange, sessionExpiresS }: DialogParts,
): Promise<void> {
  const terms = agreedTerms(request, sessionExpiresS);
  const headers = { Allow: allow({ refer: false }), ...termsHeaders(terms) };
  await exchange.change(request, responder, headers);
}
