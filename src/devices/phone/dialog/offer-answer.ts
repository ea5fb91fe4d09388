import type { PhoneCall } from '../call.js';
import {
  requireOnlySupported,
  requireSdpIfAccepted,
  requireSdpIfBody,
  requireUsableContact,
} from '../capabilities.js';
import { Refusal, refusalOf } from '../refusal.js';
import type { Headers, SipDialog, SipRequest, SipResponder, SipResponse } from '../sip.js';
import { callIdOf, cseqOf, sdpOf, SDP_TYPE } from '../sip.js';

/** Who owes what (RFC 3264, RFC 3311). */
type ExchangeState =
  /** Nobody owes anything. */
  | 'stable'
  /** We owe an answer to the phone's offer. */
  | 'answering'
  /** The phone owes the answer to our re-INVITE. */
  | 'offering'
  /** Our 2xx to the phone's INVITE carried an offer: the ACK owes the answer. */
  | 'awaiting-ack'
  /** The phone has answered, and the media plane is at it. The phone may offer again; it waits for that. */
  | 'taking-answer';

/** RFC 3261 section 14.1, for the side that did not make the Call-ID: after a 491 wait 0 to 2 s. */
const GLARE_WAIT_MS = 2000;
const GLARE_TRIES = 5;

/** How a re-INVITE of ours went. */
type OfferOutcome =
  /** The phone took it. */
  | 'accepted'
  /** The phone refused it; the session goes on as it was. */
  | 'refused'
  /** The phone does not know the call any more, or does not answer. */
  | 'gone';

/** The offers and answers of one call after it is answered, one at a time. */
export class OfferAnswer {
  readonly #call: PhoneCall;
  readonly #dialog: SipDialog;
  #state: ExchangeState = 'stable';
  /** Of the INVITE whose ACK is awaited: the ACK of an earlier one may still be on its way. */
  #awaitedCseq: number | undefined;
  /** Nothing is agreed yet: our offer was the first of the call. */
  #isFirst = false;
  #stableListeners: (() => void)[] = [];

  constructor(call: PhoneCall, dialog: SipDialog) {
    this.#call = call;
    this.#dialog = dialog;
    dialog.on('ack', (ack) => void this.#onAck(ack));
    call.atEnd(() => this.#become('stable'));
  }

  /** Our 200 to an INVITE without an offer carried ours: its answer is due in the ACK. */
  offeredInAnswer(invite: SipRequest): void {
    this.#awaitedCseq = cseqOf(invite);
    this.#isFirst = true;
    this.#state = 'awaiting-ack';
  }

  /**
   * Answers the phone's re-INVITE or UPDATE from the state that it leads to.
   * @param headers what the 2xx carries besides
   * @throws Refusal 491 or 500 when offers cross, 400, 406, 415, 481; MediaError when the offer fits nothing
   */
  async change(request: SipRequest, responder: SipResponder, headers: Headers): Promise<void> {
    requireOnlySupported(request);
    requireUsableContact(request);
    requireSdpIfBody(request);
    const sdpOffer = sdpOf(request);
    if (request.method === 'UPDATE' && sdpOffer === undefined) {
      responder.send(200, { headers });
      return;
    }
    requireSdpIfAccepted(request);
    // drachtio-srf tells of an ACK one turn later than of what came right behind it.
    if (this.#state === 'awaiting-ack') await new Promise(setImmediate);
    if (this.#state === 'taking-answer') await this.#stable();
    this.#refuseIfOver();
    this.#refuseCrossingOffers();
    this.#state = 'answering';
    let nextState: ExchangeState = 'stable';
    try {
      const description = await this.#call.media.update(sdpOffer);
      const { sdp, held } = description;
      this.#refuseIfOver();
      responder.send(200, { headers: { ...headers, 'Content-Type': SDP_TYPE }, body: sdp });
      this.#call.log.info({ method: request.method, held }, 'The phone changed the session.');
      if (sdpOffer === undefined) {
        this.#awaitedCseq = cseqOf(request);
        nextState = 'awaiting-ack';
      } else this.#call.described(description);
    } finally {
      this.#become(nextState);
    }
  }

  /** Sends our present description as the offer of a re-INVITE, waiting out offers that cross. */
  async offer(headers: Headers): Promise<{ outcome: OfferOutcome; response?: SipResponse }> {
    for (let tries = 0; tries < GLARE_TRIES; tries += 1) {
      await this.#stable();
      if (this.#call.ended) return { outcome: 'gone' };
      this.#state = 'offering';
      try {
        const { sdp } = await this.#call.media.update();
        const response = await this.#reinvite(sdp, headers);
        if (response.status !== 491) return { outcome: await this.#outcome(response), response };
      } finally {
        this.#become('stable');
      }
      await wait(Math.random() * GLARE_WAIT_MS);
    }
    return { outcome: 'refused' };
  }

  /**
   * Makes our present description the offer to someone else, who may take the phone's place.
   * @param invite calls them; resolves with their answer, or undefined when there is none
   * @returns whether the call's media go to them now
   */
  async offerElsewhere(invite: (sdp: string) => Promise<string | undefined>): Promise<boolean> {
    await this.#stable();
    if (this.#call.ended) return false;
    this.#state = 'offering';
    try {
      const { sdp } = await this.#call.media.update();
      const sdpAnswer = await invite(sdp);
      if (sdpAnswer === undefined) return false;
      await this.#take(sdpAnswer);
      return true;
    } finally {
      this.#become('stable');
    }
  }

  #refuseIfOver(): void {
    if (this.#call.ended) throw new Refusal(481, 'The call is over.');
  }

  #refuseCrossingOffers(): void {
    switch (this.#state) {
      case 'stable':
        return;
      case 'offering':
      case 'awaiting-ack':
      case 'taking-answer':
        throw new Refusal(491, 'An offer of ours is not answered yet.');
      case 'answering':
        // RFC 3261 section 14.2: some time from 0 to 10 s.
        throw new Refusal(500, 'An offer of yours is not answered yet.', {
          'Retry-After': String(Math.floor(Math.random() * 10) + 1),
        });
    }
  }

  async #outcome(response: SipResponse): Promise<OfferOutcome> {
    if (response.status === 408 || response.status === 481) return 'gone';
    const sdpAnswer = sdpOf(response);
    if (response.status >= 300 || sdpAnswer === undefined) return 'refused';
    this.#state = 'taking-answer';
    await this.#take(sdpAnswer);
    return 'accepted';
  }

  #reinvite(body: string, headers: Headers): Promise<SipResponse> {
    const options = { method: 'INVITE', body, headers: { ...headers, 'Content-Type': SDP_TYPE } };
    return finalResponse(this.#dialog, options);
  }

  /** RFC 3264 with the offer in our 2xx: the answer is in the ACK. */
  async #onAck(ack: SipRequest): Promise<void> {
    if (this.#state !== 'awaiting-ack' || this.#call.ended || cseqOf(ack) !== this.#awaitedCseq) return;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    const sdpAnswer = sdpOf(ack);
    this.#state = 'taking-answer';
    try {
      if (sdpAnswer !== undefined) await this.#take(sdpAnswer);
      else this.#failed(isFirst, ack, 'The ACK carries no answer to our offer.');
    } catch (error) {
      this.#failed(isFirst, ack, 'The answer in the ACK could not be used.', error);
    } finally {
      this.#become('stable');
    }
  }

  /** An offer that comes to nothing leaves the session as it was (RFC 6141 section 3.4); the first leaves none. */
  #failed(isFirst: boolean, ack: SipRequest, why: string, error?: unknown): void {
    const reason = error === undefined ? undefined : refusalOf(error).message;
    this.#call.log.warn({ callId: callIdOf(ack), reason }, why);
    if (isFirst) this.#call.hangUp('error', why);
  }

  async #take(sdpAnswer: string): Promise<void> {
    const description = await this.#call.media.answer(sdpAnswer);
    if (!this.#call.ended) this.#call.described(description);
  }

  #become(state: ExchangeState): void {
    this.#state = state;
    if (state !== 'stable') return;
    for (const listener of this.#stableListeners.splice(0)) listener();
  }

  async #stable(): Promise<void> {
    while (this.#state !== 'stable' && !this.#call.ended) {
      await new Promise<void>((resolve) => this.#stableListeners.push(resolve));
    }
  }
}

/**
 * Sends a request in a dialog.
 * @returns its final response
 * @throws Refusal when the SIP server does not send it: it cannot be reached, or the phone cannot by what it said
 */
export function finalResponse(
  dialog: SipDialog,
  options: { method: string; headers: Headers; body?: string },
): Promise<SipResponse> {
  return new Promise((resolve, reject) => {
    dialog.request(options, (error, response) => {
      if (error) reject(new Refusal(480, `${options.method} could not be sent.`, {}, { cause: error }));
      else if (response && response.status >= 200) resolve(response);
    });
  });
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
