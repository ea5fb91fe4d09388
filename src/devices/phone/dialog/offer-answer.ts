import type { PhoneCall } from '../call.js';
import {
  requireOnlySupported,
  requireSdpIfAccepted,
  requireSdpIfBody,
  requireUsableContact,
} from '../capabilities.js';
import { logFailure, Refusal, refusalOf } from '../refusal.js';
import type { ExchangeRecord } from '../restore/call-record.js';
import type { Headers, SipDialog, SipRequest, SipResponder, SipResponse } from '../sip.js';
import { callIdOf, cseqOf, sdpOf, SDP_TYPE } from '../sip.js';

/** Who has to answer an offer (RFC 3264, RFC 3311). */
type ExchangeState =
  /** No offer is open. */
  | 'stable'
  /** We have to answer the phone's offer. */
  | 'answering'
  /** The phone has to answer our re-INVITE. */
  | 'offering'
  /** Our 2xx to the phone's INVITE carried an offer: the answer must be in the ACK. */
  | 'awaiting-ack'
  /** The phone has answered, and the media plane applies the answer. The phone's next offer waits for that. */
  | 'taking-answer';

/** RFC 3261 section 14.1, for the side that did not choose the Call-ID: after a 491 wait 0 to 2 s. */
const GLARE_WAIT_MS = 2000;
const GLARE_TRIES = 5;

/** The outcome of our re-INVITE. */
type OfferOutcome =
  /** The phone accepted it. */
  | 'accepted'
  /** The phone refused it; the session goes on as it was. */
  | 'refused'
  /** The phone does not know the call any more, or does not answer. */
  | 'gone';

/** Offers and answers within an answered call, one at a time. */
export class OfferAnswer {
  readonly #call: PhoneCall;
  readonly #dialog: SipDialog;
  #state: ExchangeState = 'stable';
  /** CSeq of the INVITE whose ACK is awaited: the ACK of an earlier INVITE may come later. */
  #awaitedCseq: number | undefined;
  /** Nothing is agreed on yet: our offer was the first of the call. */
  #isFirst = false;
  #stableListeners: (() => void)[] = [];

  constructor(call: PhoneCall, dialog: SipDialog) {
    this.#call = call;
    this.#dialog = dialog;
    dialog.on('ack', (ack) => void this.#onAck(ack));
    call.atEnd(() => this.#become('stable'));
  }

  /** The INVITE had no offer, so our 200 carried one: the answer must be in its ACK. */
  offeredInAnswer(invite: SipRequest): void {
    this.#awaitedCseq = cseqOf(invite);
    this.#isFirst = true;
    this.#become('awaiting-ack');
  }

  /** What another process needs to go on. An offer that we have to answer comes again. */
  save(): ExchangeRecord {
    const awaitedCseq = this.#state === 'awaiting-ack' ? this.#awaitedCseq : undefined;
    return {
      ...(awaitedCseq !== undefined && { awaitedCseq }),
      isFirst: awaitedCseq !== undefined && this.#isFirst,
      owesOffer: this.#state === 'offering' || this.#state === 'taking-answer',
    };
  }

  /** Goes on where another process stopped, except that {@link offer} is still owed. */
  restore({ awaitedCseq, isFirst }: ExchangeRecord): void {
    if (awaitedCseq === undefined) return;
    this.#awaitedCseq = awaitedCseq;
    this.#isFirst = isFirst;
    this.#state = 'awaiting-ack';
  }

  /**
   * Applies the phone's re-INVITE or UPDATE and answers it.
   * @param headers further headers of the 2xx
   * @throws Refusal 491 or 500 when offers cross, 400, 406, 415, 481; MediaError when the offer cannot be accepted
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
    // drachtio-srf emits an ACK one turn of the event loop after the request that came right behind it.
    if (this.#state === 'awaiting-ack') await new Promise(setImmediate);
    if (this.#state === 'taking-answer') await this.#stable();
    this.#refuseIfOver();
    this.#refuseCrossingOffers();
    this.#become('answering');
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

  /** Sends our current description as the offer of a re-INVITE, again after a 491. */
  async offer(headers: Headers): Promise<{ outcome: OfferOutcome; response?: SipResponse }> {
    for (let tries = 0; tries < GLARE_TRIES; tries += 1) {
      await this.#stable();
      await this.#call.mayAct();
      if (this.#call.ended) return { outcome: 'gone' };
      this.#become('offering');
      try {
        const { sdp } = await this.#call.media.update();
        const response = await this.#reinvite(sdp, headers);
        if (response.status !== 491) return { outcome: await this.#outcome(response), response };
      } catch (error) {
        // It may act no more since it began: it waits for that, and tries again.
        if (this.#call.mayActNow) throw error;
        continue;
      } finally {
        this.#become('stable');
      }
      await wait(Math.random() * GLARE_WAIT_MS);
    }
    return { outcome: 'refused' };
  }

  /**
   * Offers our current description to someone else, who may replace the phone.
   * @param invite sends the offer; resolves with the answer, or undefined when there is none
   * @returns whether the call's media now go there
   */
  async offerElsewhere(invite: (sdp: string) => Promise<string | undefined>): Promise<boolean> {
    await this.#stable();
    if (this.#call.ended) return false;
    this.#become('offering');
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
        throw new Refusal(491, 'Our offer is not answered yet.');
      case 'answering':
        // RFC 3261 section 14.2: some time from 0 to 10 s.
        throw new Refusal(500, 'Your previous offer is not answered yet.', {
          'Retry-After': String(Math.floor(Math.random() * 10) + 1),
        });
    }
  }

  async #outcome(response: SipResponse): Promise<OfferOutcome> {
    if (response.status === 408 || response.status === 481) return 'gone';
    const sdpAnswer = sdpOf(response);
    if (response.status >= 300 || sdpAnswer === undefined) return 'refused';
    this.#become('taking-answer');
    await this.#take(sdpAnswer);
    return 'accepted';
  }

  #reinvite(body: string, headers: Headers): Promise<SipResponse> {
    const options = { method: 'INVITE', body, headers: { ...headers, 'Content-Type': SDP_TYPE } };
    return finalResponse(this.#dialog, options);
  }

  /** Applies the answer in the ACK, if our 2xx carried the offer. */
  async #onAck(ack: SipRequest): Promise<void> {
    if (this.#state !== 'awaiting-ack' || this.#call.ended || cseqOf(ack) !== this.#awaitedCseq) return;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    const sdpAnswer = sdpOf(ack);
    this.#become('taking-answer');
    try {
      if (sdpAnswer !== undefined) await this.#take(sdpAnswer);
      else this.#failed(isFirst, ack, 'The ACK carries no answer to our offer.');
    } catch (error) {
      this.#failed(isFirst, ack, 'The answer in the ACK could not be used.', error);
    } finally {
      this.#become('stable');
    }
  }

  /** A failed offer leaves the session as it was (RFC 6141 section 3.4). After a failed first offer there is no session. */
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
    this.#call.keeper.soon();
    if (state !== 'stable') return;
    for (const listener of this.#stableListeners.splice(0)) listener();
  }

  async #stable(): Promise<void> {
    while (this.#state !== 'stable' && !this.#call.ended) {
      await new Promise<void>((resolve) => this.#stableListeners.push(resolve));
    }
  }
}

/** The media plane changed the phone's media: offers the phone the new description. */
export async function renegotiate(call: PhoneCall): Promise<void> {
  try {
    const offered = await call.exchange?.offer({});
    if (offered?.outcome !== 'accepted') call.hangUp('error', 'The phone refused the new media.');
  } catch (error) {
    logFailure(call.log, error, 'The new media could not be offered.');
    call.hangUp('error');
  }
}

/**
 * Sends a request in a dialog.
 * @returns its final response
 * @throws Refusal 480 when it is not sent: the SIP server, or the phone's Contact, cannot be reached
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
