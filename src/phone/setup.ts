import { PatchbayError } from '../core/errors.js';
import type { PhoneDescription } from '../media/types.js';
import type { PhoneCall } from './call.js';
import { allow, requireOnlySupported, requireSdpIfBody, SUPPORTED } from './capabilities.js';
import type { AttendOptions } from './dialog/attend.js';
import { attend } from './dialog/attend.js';
import type { PhoneGate, PhoneMedia } from './options.js';
import { Refusal } from './refusal.js';
import { progressReliably } from './reliable.js';
import { agreedTerms, termsHeaders } from './dialog/session-terms.js';
import type { Headers, SipApplication, SipDialog, SipRequest, SipResponder } from './sip.js';
import { lists, sdpOf, SDP_TYPE } from './sip.js';
import { authenticate } from './tokens/authenticate.js';

export interface SetupOptions extends AttendOptions {
  readonly gate: PhoneGate;
  readonly tokenHeaders: readonly string[];
}

/**
 * Takes a call from its INVITE to the answer, at once: the token, the media, the core, 200.
 * @throws whatever the call is to be refused with; the call's end frees all that it holds
 */
export async function setUpCall(
  call: PhoneCall,
  invite: SipRequest,
  responder: SipResponder,
  options: SetupOptions,
): Promise<void> {
  invite.on('cancel', () => call.cancelled());
  requireOnlySupported(invite);
  requireSdpIfBody(invite);
  const terms = agreedTerms(invite, options.sessionExpiresS);
  const participant = authenticate(invite, options.tokenHeaders, options.gate);
  // Before the media are opened: a busy participant is the cheap case.
  if (options.gate.connectedDevice(participant.id)) {
    throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant is connected already.');
  }
  const description = await call.openMedia(sdpOf(invite));
  call.connect(options.gate, participant);
  call.publish(description.stream);

  const owed = await describeToPhone(call, invite, responder, description, options.media);
  const headers = { Allow: allow(options), Supported: SUPPORTED, ...termsHeaders(terms) };
  await answer(invite, responder, options.application, { ...owed, headers }, (dialog) => {
    const exchange = attend(call, dialog, options);
    if (owed.offer) exchange.offeredInAnswer();
  });
}

/** What the 200 still has to carry. */
interface OwedDescription {
  readonly localSdp: string | undefined;
  /** It is an offer: the ACK owes the answer. */
  readonly offer: boolean;
}

/** Where the phone insists on reliable provisional responses, it has our description before the 200. */
async function describeToPhone(
  call: PhoneCall,
  invite: SipRequest,
  responder: SipResponder,
  { sdp }: PhoneDescription,
  media: PhoneMedia,
): Promise<OwedDescription> {
  const offer = sdpOf(invite) === undefined;
  if (!lists(invite, 'require', '100rel')) return { localSdp: sdp, offer };
  const prack = await progressReliably(call, responder, sdp);
  if (!offer) return { localSdp: sdp, offer };
  const sdpAnswer = sdpOf(prack);
  if (sdpAnswer === undefined) throw new Refusal(488, 'The PRACK carries no answer to our offer.');
  const { stream } = await media.answerPhone(call.info.id, sdpAnswer);
  call.setup.throwIfAborted();
  call.publish(stream);
  return { localSdp: undefined, offer: false };
}

/** Sends 200. `onDialog` runs before any later message of the call is looked at. */
function answer(
  invite: SipRequest,
  responder: SipResponder,
  application: SipApplication,
  { localSdp, headers }: { localSdp: string | undefined; headers: Headers },
  onDialog: (dialog: SipDialog) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const sdpHeaders: Headers = localSdp === undefined ? {} : { 'Content-Type': SDP_TYPE };
    const options = { localSdp, headers: { ...headers, ...sdpHeaders } };
    application.createUAS(invite, responder, options, (error, dialog) => {
      if (!dialog) {
        reject(new Error('The 200 could not be sent.', { cause: error }));
        return;
      }
      onDialog(dialog);
      resolve();
    });
  });
}
