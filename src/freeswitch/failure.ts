import { PatchbayError } from '../core/errors.js';

/** Whether FreeSWITCH found the phone's SDP wanting, so that another FreeSWITCH would too. */
export function isPhonesFault(error: unknown): boolean {
  const status = statusOf(error);
  return status === 488 || status === 415 || status === 606 || status === 400;
}

/** A failure of FreeSWITCH in the gateway's words. */
export function asPatchbayError(error: unknown): unknown {
  if (isPhonesFault(error)) {
    return new PatchbayError('PATCHBAY_NO_COMMON_CODEC', 'FreeSWITCH can use none of the offered media.', {
      cause: error,
    });
  }
  return error;
}

/** There is no FreeSWITCH for a call. */
export function noServer(cause?: unknown): PatchbayError {
  return new PatchbayError('PATCHBAY_OVERLOADED', 'No media server is available.', { cause });
}

/** The SIP status in an error of drachtio-srf or of a leg. */
function statusOf(error: unknown): unknown {
  return error instanceof Error && 'status' in error ? error.status : undefined;
}
