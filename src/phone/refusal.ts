import type { ErrorCode } from '../core/errors.js';
import { PatchbayError } from '../core/errors.js';
import type { MediaErrorCode } from '../media/types.js';
import { MediaError } from '../media/types.js';
import type { Headers } from './sip.js';
import { quoted } from './sip.js';

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
} as const satisfies Record<MediaErrorCode, ErrorCode>;

/** Any failure as a refusal. What is not made for the caller's eyes becomes a bare 500. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const known = error instanceof MediaError ? inTableOfStatuses(error) : error;
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

function inTableOfStatuses(error: MediaError): PatchbayError {
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
