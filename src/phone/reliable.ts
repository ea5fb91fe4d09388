import type { PhoneCall } from './call.js';
import { Refusal } from './refusal.js';
import type { SipRequest, SipResponder } from './sip.js';
import { SDP_TYPE } from './sip.js';

/** RFC 3262 section 3: 64 times T1 without a PRACK, and the call is refused. */
const PRACK_LIMIT_MS = 32_000;

/**
 * Sends a reliable 183 with our description and waits for its PRACK.
 * @returns the PRACK: it carries the answer when the description was an offer
 * @throws Refusal 504 when no PRACK comes; what the call's setup aborts with
 */
export function progressReliably(call: PhoneCall, responder: SipResponder, sdp: string): Promise<SipRequest> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Refusal(504, 'No PRACK came.')), PRACK_LIMIT_MS);
    const settle = (action: () => void): void => {
      clearTimeout(limit);
      call.setup.removeEventListener('abort', onAbort);
      action();
    };
    const onAbort = (): void => settle(() => reject(call.setup.reason as Refusal));
    call.setup.addEventListener('abort', onAbort);
    responder.send(
      183,
      { headers: { Require: '100rel', 'Content-Type': SDP_TYPE }, body: sdp },
      (error) => {
        if (error) settle(() => reject(new Error('183 could not be sent.', { cause: error })));
      },
      (prack) => settle(() => resolve(prack)),
    );
  });
}
