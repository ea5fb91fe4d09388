import type { Logger } from 'pino';
import { refusalHeaders, refusalOf } from './refusal.js';
import type { RequestListener, SipRequest, SipResponder } from './sip.js';

/** Answers a request with why it cannot be done. @returns the status */
export function refuse(error: unknown, request: SipRequest, responder: SipResponder, log: Logger): number {
  const refusal = refusalOf(error);
  const fields = { method: request.method, status: refusal.status, reason: refusal.message };
  if (refusal.status === 500) log.error({ ...fields, err: refusal.cause }, 'Request failed.');
  else log.warn(fields, 'Request refused.');
  if (!responder.finalResponseSent) responder.send(refusal.status, { headers: refusalHeaders(refusal) });
  return refusal.status;
}

/** Logs what came to nothing: with a stack when it is the gateway's fault, in words when it is a peer's. */
export function logFailure(log: Logger, error: unknown, what: string): void {
  const refusal = refusalOf(error);
  if (refusal.status === 500) log.error({ err: error }, what);
  else log.warn({ reason: refusal.message }, what);
}

/** A listener whose failures become refusals. */
export function refusing(
  log: Logger,
  handle: (request: SipRequest, responder: SipResponder) => void | Promise<void>,
): RequestListener {
  return (request, responder) => {
    const attempt = async (): Promise<void> => handle(request, responder);
    attempt().catch((error: unknown) => refuse(error, request, responder, log));
  };
}
