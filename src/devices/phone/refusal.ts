import type { Log } from '../../shared/index.js';
import { type EndReason, type ErrorCode, PatchbayError } from '../../core/index.js';
import { MediaError, type MediaErrorCode } from '../../media/index.js';
import {
  callIdOf,
  type Headers,
  quoted,
  type RequestListener,
  type SipRequest,
  type SipResponder,
} from './sip.js';

const CLASSES = {
  left: 'success',
  replaced: 'success',
  disconnected: 'success',
  'participant-deleted': 'success',
  'session-deleted': 'success',
  expired: 'success',
  'max-duration': 'success',
  'media-timeout': 'client_error',
  lost: 'server_error',
  shutdown: 'server_error',
  crashed: 'server_error',
  error: 'server_error',
} as const satisfies Record<EndReason, OutcomeClass>;

/** What a phone is told in the Reason header of a BYE: the SIP status that is nearest, and words. */
const ENDINGS = {
  left: [200, 'The call was ended.'],
  lost: [408, 'The connection was lost.'],
  'media-timeout': [408, 'No media came from the phone for too long.'],
  replaced: [486, 'Another device took the place of this call.'],
  disconnected: [200, 'The application ended the call.'],
  'participant-deleted': [404, 'The participant was deleted.'],
  'session-deleted': [404, 'The session was deleted.'],
  expired: [410, 'The participant or its session reached the end of its life.'],
  'max-duration': [408, 'The call reached its longest duration.'],
  shutdown: [503, 'The gateway is stopping.'],
  crashed: [500, 'The gateway lost the call.'],
  error: [500, 'The gateway failed.'],
} as const satisfies Record<EndReason, readonly [cause: number, text: string]>;

/** Why a request is refused: a SIP status, a text for whoever reads the trace, and headers that the status owes. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Headers;

  constructor(status: number, text: string, headers: Headers = {}, options?: ErrorOptions) {
    super(text, options);
    this.status = status;
    this.headers = headers;
  }
}

/** How long, in seconds, a caller should wait before trying a gateway, or an account, that is full, or a gateway that is stopping. */
const RETRY_AFTER_S = 10;

/** How the media plane's failures are called in the one table of statuses. */
const MEDIA_CODES = {
  BAD_SDP: 'PATCHBAY_BAD_SDP',
  NO_COMMON_CODEC: 'PATCHBAY_NO_COMMON_CODEC',
  NO_COMMON_TRANSPORT: 'PATCHBAY_NO_COMMON_TRANSPORT',
  NO_PORT: 'PATCHBAY_OVERLOADED',
  UNKNOWN_DEVICE: 'PATCHBAY_INTERNAL',
  INVALID_STATE: 'PATCHBAY_INTERNAL',
  TOO_MANY_DIGITS: 'PATCHBAY_TOO_MANY_REQUESTS',
} as const satisfies Record<MediaErrorCode, ErrorCode>;

/** Any failure as a refusal. What is not made for the caller's eyes becomes a bare 500. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const known = asPatchbayError(error);
  if (!(known instanceof PatchbayError) || known.code === 'PATCHBAY_INTERNAL') {
    return new Refusal(500, 'Internal error.', {}, { cause: error });
  }
  return new Refusal(known.sipStatus, known.message, owedHeaders(known), { cause: error });
}

/** The gateway has as much to do as it can, or is allowed to. */
export function noRoom(retryAfterS: number): Refusal {
  return new Refusal(503, 'The gateway is at its limit.', { 'Retry-After': String(retryAfterS) });
}

/** The headers of a refusal: why in words (RFC 3326), and what else its status owes. */
export function refusalHeaders(refusal: Refusal): Headers {
  return { Reason: reasonHeader(refusal.status, refusal.message), ...refusal.headers };
}

/** A Reason header of RFC 3326 with a text. */
export function reasonHeader(cause: number, text: string): string {
  return `SIP;cause=${cause};text=${quoted(text)}`;
}

/** An error of the media plane as one of the gateway's; any other stays as it is. */
export function asPatchbayError(error: unknown): unknown {
  if (!(error instanceof MediaError)) return error;
  return new PatchbayError(MEDIA_CODES[error.code], error.message, { cause: error });
}

function owedHeaders(error: PatchbayError): Headers {
  switch (error.sipStatus) {
    case 488:
      return { Warning: `${warningCode(error.code)} patchbay ${quoted(error.message)}` };
    case 480:
      return error.code === 'PATCHBAY_TOO_MANY_CALLS' ? { 'Retry-After': String(RETRY_AFTER_S) } : {};
    case 503:
      return { 'Retry-After': String(RETRY_AFTER_S) };
    default:
      return {};
  }
}

/** RFC 3261 section 20.43: "incompatible transport protocol", "incompatible media format", or any other matter. */
function warningCode(code: ErrorCode): number {
  if (code === 'PATCHBAY_NO_COMMON_TRANSPORT') return 302;
  return code === 'PATCHBAY_NO_COMMON_CODEC' ? 305 : 399;
}

/** In words, for the phone's trace and our log. */
export function endingText(reason: EndReason): string {
  return ENDINGS[reason][1];
}

/** The Reason header of a BYE (RFC 3326). */
export function endingHeader(reason: EndReason, text = endingText(reason)): string {
  return reasonHeader(ENDINGS[reason][0], text);
}

/** How a call went, by whose doing it was. */
type OutcomeClass =
  /** It was answered and ended as somebody wanted it. */
  | 'success'
  /** The caller gave up before the answer. */
  | 'cancelled'
  /** The caller, its carrier or the application asked for what cannot be. */
  | 'client_error'
  /** The gateway or a server behind it failed. */
  | 'server_error';

/** A call that is over. */
export interface CallOutcome {
  readonly outcome: OutcomeClass;
  /** The SIP status of a refusal, or why an answered call ended. */
  readonly reason: string;
}

/** Is told how calls go, to be measured. */
export interface CallObserver {
  /** An INVITE got its 200. */
  answered(setupMs: number): void;
  /** Once for every INVITE outside of calls: refused, or answered and ended. */
  over(outcome: CallOutcome): void;
}

/** The outcome of a call that was answered. */
export function endedOutcome(reason: EndReason): CallOutcome {
  return { outcome: CLASSES[reason], reason };
}

/** The outcome of an INVITE that was refused with a status. */
export function refusedOutcome(status: number): CallOutcome {
  const reason = String(status);
  if (status === 487) return { outcome: 'cancelled', reason };
  const byGateway = status >= 500 && status < 600;
  return { outcome: byGateway ? 'server_error' : 'client_error', reason };
}

/** Answers a request with why it cannot be done. @returns the status */
export function refuse(error: unknown, request: SipRequest, responder: SipResponder, log: Log): number {
  const refusal = refusalOf(error);
  const fields = {
    callId: callIdOf(request),
    method: request.method,
    status: refusal.status,
    reason: refusal.message,
  };
  if (refusal.status === 500) log.error({ ...fields, err: refusal.cause }, 'Request failed.');
  else log.warn(fields, 'Request refused.');
  if (!responder.finalResponseSent) responder.send(refusal.status, { headers: refusalHeaders(refusal) });
  return refusal.status;
}

/** Logs what came to nothing: with a stack when it is the gateway's fault, in words when it is a peer's. */
export function logFailure(log: Log, error: unknown, what: string): void {
  const refusal = refusalOf(error);
  if (refusal.status === 500) log.error({ err: error }, what);
  else log.warn({ reason: refusal.message }, what);
}

/** A listener whose failures become refusals. */
export function refusing(
  log: Log,
  handle: (request: SipRequest, responder: SipResponder) => void | Promise<void>,
): RequestListener {
  return (request, responder) => {
    const attempt = async (): Promise<void> => handle(request, responder);
    attempt().catch((error: unknown) => refuse(error, request, responder, log));
  };
}
