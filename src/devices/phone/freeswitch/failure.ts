import { PatchbayError } from '../../../core/index.js';
import { MediaError } from '../../../media/index.js';

/** Whether FreeSWITCH found the phone's SDP wanting, so that another FreeSWITCH would too. */
function isPhonesFault(error: unknown): boolean {
  const status = statusOf(error);
  return status === 488 || status === 415 || status === 606 || status === 400;
}

/** Whether a call failed by its FreeSWITCH (full, paused, hung, gone), so that another one may take it. */
export function isServersFault(error: unknown): boolean {
  return !(error instanceof MediaError || error instanceof PatchbayError || isPhonesFault(error));
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

/** FreeSWITCH would not open a leg whose media it could use: without a free RTP port, too, it says 488. */
export class LegRefused extends Error {
  override readonly name = 'LegRefused';
}

/** There is no FreeSWITCH for a call. */
export function noServer(cause?: unknown): PatchbayError {
  return new PatchbayError('PATCHBAY_OVERLOADED', 'No media server is available.', { cause });
}

/** The SIP status in an error of drachtio-srf or of a leg. */
function statusOf(error: unknown): unknown {
  return error instanceof Error && 'status' in error ? error.status : undefined;
}
