import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import type { ClientFailure } from '../transaction/client-transaction.js';
import { newTag } from '../transaction/transactions.js';

/** The response that an application gets when the peer sent none (RFC 3261 section 8.1.3.1). */
export function inPlaceOf(request: SipRequest, failure: ClientFailure): SipResponse {
  return buildResponse(request, failure === 'timeout' ? 408 : 503, { toTag: newTag() });
}
