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

/** The Reason header of a BYE: the closest SIP status, and a text. */
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

/** Why a request is refused: a SIP status, a text for readers of the trace, and the headers that the status needs. */
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

/** Seconds of Retry-After when the gateway or the account is full, or the gateway is stopping. */
const RETRY_AFTER_S = 10;

/** The error codes of the gateway for those of the media plane. */
const MEDIA_CODES = {
  BAD_SDP: 'PATCHBAY_BAD_SDP',
  NO_COMMON_CODEC: 'PATCHBAY_NO_COMMON_CODEC',
  NO_COMMON_TRANSPORT: 'PATCHBAY_NO_COMMON_TRANSPORT',
  NO_PORT: 'PATCHBAY_OVERLOADED',
  UNKNOWN_DEVICE: 'PATCHBAY_INTERNAL',
  BAD_FILE: 'PATCHBAY_INTERNAL',
  INVALID_STATE: 'PATCHBAY_INTERNAL',
  TOO_MANY_DIGITS: 'PATCHBAY_TOO_MANY_REQUESTS',
  NOTE_TOO_LONG: 'PATCHBAY_INTERNAL',
} as const satisfies Record<MediaErrorCode, ErrorCode>;

/** Any failure as a refusal. Unexpected errors become a 500 without details. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const known = asPatchbayError(error);
  if (!(known instanceof PatchbayError) || known.code === 'PATCHBAY_INTERNAL') {
    return new Refusal(500, 'Internal error.', {}, { cause: error });
  }
  return new Refusal(known.sipStatus, known.message, headersOf(known), { cause: error });
}

/** The refusal of a new call when the gateway is at its limit. */
export function noRoom(retryAfterS = RETRY_AFTER_S): Refusal {
  return new Refusal(503, 'The gateway is at its limit.', { 'Retry-After': String(retryAfterS) });
}

/** The headers of a refusal: Reason (RFC 3326), and those that the status needs. */
export function refusalHeaders(refusal: Refusal): Headers {
  return { Reason: reasonHeader(refusal.status, refusal.message), ...refusal.headers };
}

/** The value of a Reason header (RFC 3326). */
export function reasonHeader(cause: number, text: string): string {
  return `SIP;cause=${cause};text=${quoted(text)}`;
}

/** An error of the media plane as one of the gateway's; any other stays as it is. */
export function asPatchbayError(error: unknown): unknown {
  if (!(error instanceof MediaError)) return error;
  return new PatchbayError(MEDIA_CODES[error.code], error.message, { cause: error });
}

function headersOf(error: PatchbayError): Headers {
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

/** RFC 3261 section 20.43: 302 "incompatible transport protocol", 305 "incompatible media format", 399 miscellaneous. */
function warningCode(code: ErrorCode): number {
  if (code === 'PATCHBAY_NO_COMMON_TRANSPORT') return 302;
  return code === 'PATCHBAY_NO_COMMON_CODEC' ? 305 : 399;
}

/** The text of the Reason header, by why the call ended. */
export function endingText(reason: EndReason): string {
  return ENDINGS[reason][1];
}

/** The value of the Reason header of a BYE (RFC 3326). */
export function endingHeader(reason: EndReason, text = endingText(reason)): string {
  return reasonHeader(ENDINGS[reason][0], text);
}

/** How a call ended, by who caused it. */
type OutcomeClass =
  /** It was answered, and ended because somebody wanted it to. */
  | 'success'
  /** The caller gave up before the answer. */
  | 'cancelled'
  /** The caller, its carrier or the application made an error. */
  | 'client_error'
  /** The gateway or a server behind it failed. */
  | 'server_error';

/** A call that is over. */
export interface CallOutcome {
  readonly outcome: OutcomeClass;
  /** The SIP status of a refusal, or why an answered call ended. */
  readonly reason: string;
}

/** Measures calls. */
export interface CallObserver {
  /** A request of any method was refused. */
  refused(method: string, status: number): void;
  /** An INVITE got its 200. */
  answered(setupMs: number): void;
  /** Called once for every INVITE outside of calls: when it is refused, or when the answered call ends. */
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

/** Who is told of refusals. */
interface Told {
  readonly log: Log;
  readonly observer?: CallObserver | undefined;
}

/** Refuses a request. @returns the status */
export function refuse(
  error: unknown,
  request: SipRequest,
  responder: SipResponder,
  { log, observer }: Told,
): number {
  const refusal = refusalOf(error);
  const fields = {
    callId: callIdOf(request),
    method: request.method,
    status: refusal.status,
    reason: refusal.message,
  };
  if (refusal.status === 500) log.error({ ...fields, err: refusal.cause }, 'Request failed.');
  else log.warn(fields, 'Request refused.');
  observer?.refused(request.method, refusal.status);
  if (!responder.finalResponseSent) responder.send(refusal.status, { headers: refusalHeaders(refusal) });
  return refusal.status;
}

/** Logs a failure: with a stack when the gateway caused it, with the reason when a peer did. */
export function logFailure(log: Log, error: unknown, what: string): void {
  const refusal = refusalOf(error);
  if (refusal.status === 500) log.error({ err: error }, what);
  else log.warn({ reason: refusal.message }, what);
}

/** A listener that refuses the request when `handle` throws. */
export function refusing(
  told: Told,
  handle: (request: SipRequest, responder: SipResponder) => void | Promise<void>,
): RequestListener {
  return (request, responder) => {
    const attempt = async (): Promise<void> => handle(request, responder);
    attempt().catch((error: unknown) => refuse(error, request, responder, told));
  };
}
