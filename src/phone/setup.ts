import { PatchbayError } from '../core/errors.js';
import type { PhoneCall } from './call.js';
import { changeSession } from './session-change.js';
import type { PhoneGate, PhoneMedia } from './options.js';
import type { Headers, SipApplication, SipDialog, SipRequest, SipResponder } from './sip.js';
import { sdpOf, SDP_TYPE } from './sip.js';
import { authenticate } from './tokens/authenticate.js';

/** The methods that a phone may send us. */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO';

export interface SetupOptions {
  readonly application: SipApplication;
  readonly gate: PhoneGate;
  readonly media: PhoneMedia;
  readonly tokenHeaders: readonly string[];
}

/**
 * Takes a call from its INVITE to the answer, at once: the token, the media, the core, 200.
 * @throws whatever the call is to be refused with; the call holds nothing to undo but what its end frees
 */
export async function setUpCall(
  call: PhoneCall,
  invite: SipRequest,
  responder: SipResponder,
  options: SetupOptions,
): Promise<void> {
  invite.on('cancel', () => call.cancelled());
  const participant = authenticate(invite, options.tokenHeaders, options.gate);
  // Before the media are opened: a busy participant is the cheap case.
  if (options.gate.connectedDevice(participant.id)) {
    throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant is connected already.');
  }
  const sdpOffer = sdpOf(invite);
  const description = await call.openMedia(sdpOffer);
  call.connect(options.gate, participant);
  call.publish(description.stream);
  const dialog = await answer(call, invite, responder, description.sdp, options);
  if (sdpOffer === undefined) completeLateOffer(call, dialog, options.media);
}

/** Sends 200 and hands the dialog to the call, before any later message of the call is looked at. */
function answer(
  call: PhoneCall,
  invite: SipRequest,
  responder: SipResponder,
  localSdp: string,
  { application, media }: SetupOptions,
): Promise<SipDialog> {
  return new Promise((resolve, reject) => {
    const headers: Headers = { Allow: ALLOW, 'Content-Type': SDP_TYPE };
    application.createUAS(invite, responder, { localSdp, headers }, (error, dialog) => {
      if (!dialog) {
        reject(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      dialog.on('modify', (request, to) => changeSession(call, media, request, to));
      dialog.on('update', (request, to) => changeSession(call, media, request, to));
      call.answered(dialog);
      resolve(dialog);
    });
  });
}

/** RFC 3264 with the offer in our 200: the answer is in the ACK. */
function completeLateOffer(call: PhoneCall, dialog: SipDialog, media: PhoneMedia): void {
  dialog.on('ack', (ack) => {
    const sdpAnswer = sdpOf(ack);
    if (sdpAnswer === undefined) {
      call.hangUp('error', 'The ACK carries no answer to our offer.');
      return;
    }
    media.answerPhone(call.info.id, sdpAnswer).then(
      ({ stream }) => call.publish(stream),
      (error: unknown) => {
        call.log.warn({ err: error }, 'The answer in the ACK is of no use.');
        call.hangUp('error', 'The answer in the ACK could not be used.');
      },
    );
  });
}
