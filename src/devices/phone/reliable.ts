import type { PhoneCall } from './call.js';
import { Refusal } from './refusal.js';
import type { SipRequest, SipResponder } from './sip.js';
import { callIdOf, header, SDP_TYPE } from './sip.js';

/** RFC 3262 section 3: the call is refused when no PRACK came within 64 times T1. */
const PRACK_LIMIT_MS = 32_000;

/** A PRACK. Whoever waited for it answers it. */
export interface ReceivedPrack {
  readonly prack: SipRequest;
  readonly responder: SipResponder;
}

/** The calls that wait for the PRACK of a reliable provisional response (RFC 3262), one each. */
export class AwaitedPracks {
  readonly #waiting = new Map<string, (received: ReceivedPrack) => void>();

  /**
   * Hands a PRACK to the call that waits for it.
   * @throws Refusal 481 when no call waits for it (RFC 3262 section 3). The SIP server answers retransmissions by itself
   */
  onPrack(prack: SipRequest, responder: SipResponder): void {
    const key = keyOf(prack);
    const isInside = /;\s*tag=/i.test(header(prack, 'to') ?? '');
    const take = isInside ? this.#waiting.get(key) : undefined;
    if (!take) throw new Refusal(481, 'No response is waiting for this PRACK.');
    this.#waiting.delete(key);
    take({ prack, responder });
  }

  /**
   * Sends a reliable 183 with our description and waits for its PRACK.
   * @returns the PRACK, which the caller must answer. If the description was an offer, the PRACK carries the answer; if it
   * was an answer, the PRACK may carry another offer (RFC 3262 section 5)
   * @throws Refusal 504 when no PRACK comes; what the call's setup aborts with
   */
  progress(
    call: PhoneCall,
    invite: SipRequest,
    responder: SipResponder,
    sdp: string,
  ): Promise<ReceivedPrack> {
    const key = keyOf(invite);
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(limit);
        this.#waiting.delete(key);
        call.setup.onAbort(undefined);
        action();
      };
      const limit = setTimeout(
        () => settle(() => reject(new Refusal(504, 'No PRACK came.'))),
        PRACK_LIMIT_MS,
      );
      call.setup.onAbort((reason) => settle(() => reject(reason)));
      this.#waiting.set(key, (received) => settle(() => resolve(received)));
      const headers = { Require: '100rel', 'Content-Type': SDP_TYPE };
      responder.send(183, { headers, body: sdp }, (error) => {
        if (error) settle(() => reject(new Error('183 could not be sent.', { cause: error })));
      });
    });
  }
}

/** Call-ID and From tag: the part of the dialog ID that the INVITE and its PRACK share (RFC 3261 section 12). */
export function keyOf(request: SipRequest): string {
  const [, fromTag = ''] = /;\s*tag=([^;>\s]+)\s*(?:;|$)/i.exec(header(request, 'from') ?? '') ?? [];
  return `${callIdOf(request)} ${fromTag}`;
}
