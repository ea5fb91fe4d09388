import type { Participant } from '../../core/index.js';
import type { PhoneDescription } from '../../media/index.js';
import type { PhoneCall } from './call.js';
import {
  allow,
  requireOnlySupported,
  requireSdpIfAccepted,
  requireSdpIfBody,
  requireUsableParties,
  SUPPORTED,
} from './capabilities.js';
import { attend, type AttendOptions } from './dialog/attend.js';
import type { PhoneGate } from './options.js';
import { Refusal, refuse } from './refusal.js';
import type { AwaitedPracks, ReceivedPrack } from './reliable.js';
import { requirePlace } from './replaces.js';
import { agreedTerms, termsHeaders } from './dialog/session-terms.js';
import {
  type Headers,
  lists,
  SDP_TYPE,
  sdpOf,
  type SipApplication,
  type SipDialog,
  type SipRequest,
  type SipResponder,
} from './sip.js';
import { authenticate } from './tokens/authenticate.js';

export interface SetupOptions extends AttendOptions {
  readonly gate: PhoneGate;
  readonly tokenHeaders: readonly string[];
  readonly pracks: AwaitedPracks;
  /** The call of a device, if it is a phone here. */
  readonly callOf: (deviceId: string) => PhoneCall | undefined;
  readonly knowsPeers: boolean;
  /** Whether the connection to the phone of a dialog is gone; absent: the SIP server does not tell. */
  readonly hasLostConnection: ((dialogId: string) => boolean) | undefined;
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
  requireSdpIfAccepted(invite);
  requireUsableParties(invite);
  const terms = agreedTerms(invite, options.sessionIntervals);
  const replaced = options.replaceable.replacedBy(invite, options);
  const participant = replaced?.participant ?? authenticate(invite, options.tokenHeaders, options.gate);
  call.identified(participant);
  if (!replaced) await clearPlace(call, participant, options);
  // Before the media are opened: a busy participant, or account, is the cheap case.
  requirePlace(options.gate, participant, replaced);
  options.gate.admitDevice(participant);
  const description = await call.openMedia(sdpOf(invite), participant.sessionId);
  // A call that is to be replaced stays as it is when the new one comes to nothing.
  if (!replaced) call.connect(options.gate, participant);
  call.described(description);

  const owed = await describeToPhone(call, invite, responder, description, options);
  if (replaced) {
    requirePlace(options.gate, participant, replaced);
    call.connect(options.gate, participant, true);
    call.described(owed.description ?? description);
  }
  const headers = { Allow: allow(options), Supported: SUPPORTED, ...termsHeaders(terms) };
  call.answering();
  await answer(invite, responder, options.application, { ...owed, headers }, (dialog) => {
    call.awaitAck(dialog);
    const exchange = attend(call, dialog, options);
    if (owed.offer) exchange.offeredInAnswer(invite);
  }).catch((error: unknown) => {
    // A CANCEL that crosses the 200 is no failure of ours.
    call.setup.throwIfAborted();
    throw error;
  });
}

/** Waits for what becomes of a call that has the participant's place, and has it give way if nobody is there. */
async function clearPlace(
  call: PhoneCall,
  participant: Participant,
  { gate, callOf, hasLostConnection }: SetupOptions,
): Promise<void> {
  const device = gate.connectedDevice(participant.id);
  const other = device && callOf(device.id);
  // The caller may have cancelled it, and got the 487, while our 200 is on its way to the SIP server.
  await other?.decided();
  call.setup.throwIfAborted();
  if (other && !other.wasAcknowledged && isCutOff(other, call, hasLostConnection)) other.hangUp('replaced');
}

/**
 * Whether the connection by which a call came is gone. As that may not be known yet, one that comes by another
 * connection of the same host is a phone that has lost its first, too.
 */
function isCutOff(
  { dialog, origin }: PhoneCall,
  { origin: now }: PhoneCall,
  hasLostConnection: SetupOptions['hasLostConnection'],
): boolean {
  if (dialog && hasLostConnection?.(dialog.id) === true) return true;
  return origin.isConnection && now.address === origin.address && now.port !== origin.port;
}

/** What the 200 still has to carry. */
interface OwedDescription {
  /** What was agreed since the media were opened. */
  readonly description?: PhoneDescription;
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
  { pracks }: SetupOptions,
): Promise<OwedDescription> {
  const offer = sdpOf(invite) === undefined;
  if (!lists(invite, 'require', '100rel')) return { localSdp: sdp, offer };
  const received = await pracks.progress(call, invite, responder, sdp);
  const settled = offer ? await takeAnswer(call, received) : await answerOffer(call, received, sdp);
  call.setup.throwIfAborted();
  return { ...settled, offer: false };
}

type Settled = Omit<OwedDescription, 'offer'>;

/** Our 183 carried an offer, as the INVITE had none: the PRACK owes the answer. */
async function takeAnswer(call: PhoneCall, { prack, responder }: ReceivedPrack): Promise<Settled> {
  responder.send(200, {});
  const sdpAnswer = sdpOf(prack);
  if (sdpAnswer === undefined) throw new Refusal(488, 'The PRACK carries no answer to our offer.');
  const description = await call.media.answer(sdpAnswer);
  call.described(description);
  return { localSdp: undefined, description };
}

/**
 * Our 183 carried the answer: a description in the PRACK is another offer (RFC 3262 section 5).
 * @returns what the 200 to the INVITE repeats: nothing after a second offer, which changed it
 */
async function answerOffer(
  call: PhoneCall,
  { prack, responder }: ReceivedPrack,
  answered: string,
): Promise<Settled> {
  const sdpOffer = sdpOf(prack);
  if (sdpOffer === undefined) {
    responder.send(200, {});
    return { localSdp: answered };
  }
  try {
    const description = await call.media.update(sdpOffer);
    responder.send(200, { headers: { 'Content-Type': SDP_TYPE }, body: description.sdp });
    call.described(description);
    return { localSdp: undefined, description };
  } catch (error) {
    // An offer that fits nothing leaves the call as it was agreed before.
    refuse(error, prack, responder, call.log);
    return { localSdp: answered };
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
        // A text is what the SIP server says; it has no such transaction any more.
        reject(
          typeof error === 'string'
            ? new Refusal(487, `The INVITE is over: ${error}.`)
            : new Error('The 200 could not be sent.', { cause: error }),
        );
        return;
      }
      onDialog(dialog);
      resolve();
    });
  });
}

/**
 * Tells a call's setup, and who waits in it, that the call ended meanwhile. What `AbortSignal` is for: but each of
 * those has a hidden class of its own, which makes 2,000 of them, ten seconds of a busy gateway, some 2 MB of the old
 * generation.
 */
export class SetupSignal {
  #reason: Refusal | undefined;
  #listener: ((reason: Refusal) => void) | undefined;

  /** What the INVITE is to be refused with; absent while the call may be answered. */
  get reason(): Refusal | undefined {
    return this.#reason;
  }

  /** The first reason counts. */
  abort(reason: Refusal): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#listener?.(reason);
    this.#listener = undefined;
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason;
  }

  /** Setup waits in one place at a time: a listener takes the place of the one before; undefined takes it away. */
  onAbort(listener: ((reason: Refusal) => void) | undefined): void {
    this.#listener = listener;
  }
}
