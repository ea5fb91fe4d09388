import { PatchbayError } from '../core/errors.js';
import type { PhoneDescription } from '../media/types.js';
import type { PhoneCall } from './call.js';
import { allow, requireOnlySupported, requireSdpIfBody, SUPPORTED } from './capabilities.js';
import type { AttendOptions } from './dialog/attend.js';
import { attend } from './dialog/attend.js';
import type { PhoneGate, PhoneMedia } from './options.js';
import { Refusal } from './refusal.js';
import type { AwaitedPracks, ReceivedPrack } from './reliable.js';
import { refuse } from './respond.js';
import { agreedTerms, termsHeaders } from './dialog/session-terms.js';
import type { Headers, SipApplication, SipDialog, SipRequest, SipResponder } from './sip.js';
import { lists, sdpOf, SDP_TYPE, sourceOf } from './sip.js';
import { authenticate } from './tokens/authenticate.js';

export interface SetupOptions extends AttendOptions {
  readonly gate: PhoneGate;
  readonly tokenHeaders: readonly string[];
  readonly pracks: AwaitedPracks;
  /** The call of a device, if it is a phone here. */
  readonly callOf: (deviceId: string) => PhoneCall | undefined;
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
  const terms = agreedTerms(invite, options.sessionIntervals);
  const participant = authenticate(invite, options.tokenHeaders, options.gate);
  const other = options.gate.connectedDevice(participant.id);
  // The caller may have cancelled it, and got the 487, while our 200 is on its way to the SIP server.
  if (other) await options.callOf(other.id)?.decided();
  call.setup.throwIfAborted();
  // Before the media are opened: a busy participant, or account, is the cheap case.
  if (options.gate.connectedDevice(participant.id)) {
    throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant is connected already.');
  }
  options.gate.admitDevice(participant);
  const description = await call.openMedia(sdpOf(invite), sourceOf(invite));
  call.connect(options.gate, participant);
  call.described(description);

  const owed = await describeToPhone(call, invite, responder, description, options);
  const headers = { Allow: allow(options), Supported: SUPPORTED, ...termsHeaders(terms) };
  call.answering();
  await answer(invite, responder, options.application, { ...owed, headers }, (dialog) => {
    call.awaitAck(dialog);
    const exchange = attend(call, dialog, options);
    if (owed.offer) exchange.offeredInAnswer(invite);
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
  { pracks, media }: SetupOptions,
): Promise<OwedDescription> {
  const offer = sdpOf(invite) === undefined;
  if (!lists(invite, 'require', '100rel')) return { localSdp: sdp, offer };
  const received = await pracks.progress(call, invite, responder, sdp);
  let localSdp: string | undefined;
  if (offer) await takeAnswer(call, received, media);
  else localSdp = await answerOffer(call, received, media, sdp);
  call.setup.throwIfAborted();
  return { localSdp, offer: false };
}

/** Our 183 carried an offer, as the INVITE had none: the PRACK owes the answer. */
async function takeAnswer(
  call: PhoneCall,
  { prack, responder }: ReceivedPrack,
  media: PhoneMedia,
): Promise<void> {
  responder.send(200, {});
  const sdpAnswer = sdpOf(prack);
  if (sdpAnswer === undefined) throw new Refusal(488, 'The PRACK carries no answer to our offer.');
  call.described(await media.answerPhone(call.info.id, sdpAnswer));
}

/**
 * Our 183 carried the answer: a description in the PRACK is another offer (RFC 3262 section 5).
 * @returns what the 200 to the INVITE repeats: nothing after a second offer, which changed it
 */
async function answerOffer(
  call: PhoneCall,
  { prack, responder }: ReceivedPrack,
  media: PhoneMedia,
  answered: string,
): Promise<string | undefined> {
  const sdpOffer = sdpOf(prack);
  if (sdpOffer === undefined) {
    responder.send(200, {});
    return answered;
  }
  try {
    const description = await media.updatePhone(call.info.id, sdpOffer);
    responder.send(200, { headers: { 'Content-Type': SDP_TYPE }, body: description.sdp });
    call.described(description);
    return undefined;
  } catch (error) {
    // An offer that fits nothing leaves the call as it was agreed before.
    refuse(error, prack, responder, call.log);
    return answered;
  }
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
