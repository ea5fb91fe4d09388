import { PatchbayError } from '../../../core/index.js';
import { MediaError } from '../../../media/index.js';

/** Whether FreeSWITCH refused the phone's SDP, so that another FreeSWITCH would refuse it too. */
function isPhonesFault(error: unknown): boolean {
  const status = statusOf(error);
  return status === 488 || status === 415 || status === 606 || status === 400;
}

/** Whether a call failed because of its FreeSWITCH (full, paused, hanging, gone), so that another one may take it. */
export function isServersFault(error: unknown): boolean {
  return !(error instanceof MediaError || error instanceof PatchbayError || isPhonesFault(error));
}

/** A failure of FreeSWITCH as an error of the gateway. */
export function asPatchbayError(error: unknown): unknown {
  if (isPhonesFault(error)) {
    return new PatchbayError('PATCHBAY_NO_COMMON_CODEC', 'FreeSWITCH cannot use any of the offered media.', {
      cause: error,
    });
  }
  return error;
}

/** FreeSWITCH refused a leg although it could use the media. It also answers 488 when it has no free RTP port. */
export class LegRefused extends Error {
  override readonly name = 'LegRefused';
}

/** The error when no FreeSWITCH takes a call. */
export function noServer(cause?: unknown): PatchbayError {
  return new PatchbayError('PATCHBAY_OVERLOADED', 'No media server is available.', { cause });
}

/** The SIP status in an error of drachtio-srf or of a leg. */
function statusOf(error: unknown): unknown {
  return error instanceof Error && 'status' in error ? error.status : undefined;
}
