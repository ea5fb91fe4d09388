import { type Participant, PatchbayError } from '../../core/index.js';
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
import type { EmbeddedServer } from './restore/call-keeper.js';
import { agreedTerms, termsHeaders } from './dialog/session-terms.js';
import {
  cseqOf,
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
  /** The call of a device, if the device is a phone of this gateway. */
  readonly callOf: (deviceId: string) => PhoneCall | undefined;
  readonly knowsPeers: boolean;
  /** Called before the 200 is sent. */
  readonly answering: (call: PhoneCall, invite: SipRequest) => void;
  /** Absent with drachtio-server. */
  readonly embedded: EmbeddedServer | undefined;
}

/**
 * Sets up a call from its INVITE to the 200, without ringing: checks the token, opens the media, connects to the core.
 * @throws the reason to refuse the call; the call's end then frees what it holds
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
  const { gate } = options;
  const replaced = await options.replaceable.replacedBy(invite, options);
  const participant = replaced
    ? participantOf(replaced)
    : await authenticate(invite, options.tokenHeaders, gate);
  call.identified(participant);
  // Checked before the media are opened, so that refusing a busy participant or account is cheap.
  if (!replaced) await clearPlace(call, participant, options);
  await gate.admitDevice(participant);
  const description = await call.openMedia(sdpOf(invite), participant.sessionId);
  // The call to be replaced must stay as it is if the new one fails: it is replaced only below.
  if (!replaced) await call.connect(gate, participant, description);

  const final = await describeToPhone(call, invite, responder, description, options);
  if (replaced) await replace(replaced, call, gate, final.description ?? description);
  const headers = { Allow: allow(options), Supported: SUPPORTED, ...termsHeaders(terms) };
  call.answering(final.offer ? cseqOf(invite) : undefined);
  options.answering(call, invite);
  await answer(invite, responder, options.application, { ...final, headers }, (dialog) => {
    call.awaitAck(dialog);
    const exchange = attend(call, dialog, options);
    if (final.offer) exchange.offeredInAnswer(invite);
  }).catch((error: unknown) => {
    // A CANCEL may cross the 200: then the call is refused with 487, not 500.
    call.setup.throwIfAborted();
    throw error;
  });
}

/** @throws Refusal 603 when the call to be replaced has ended */
function participantOf({ participant }: PhoneCall): Participant {
  if (participant) return participant;
  throw new Refusal(603, 'The call to be replaced is over.');
}

/** @throws Refusal 603 when the participant's device is not the one to be replaced any more */
async function replace(
  replaced: PhoneCall,
  call: PhoneCall,
  gate: PhoneGate,
  description: PhoneDescription,
): Promise<void> {
  try {
    await call.connect(gate, participantOf(replaced), description, replaced.info.id);
  } catch (error) {
    if (!(error instanceof PatchbayError) || error.code !== 'PATCHBAY_DEVICE_NOT_FOUND') throw error;
    throw new Refusal(603, 'The call to be replaced is over.');
  }
}

/**
 * Waits until the participant's present call is answered or failed, and ends that call if its phone is gone.
 * @throws PatchbayError ALREADY_CONNECTED when the participant has a device after that
 */
async function clearPlace(
  call: PhoneCall,
  participant: Participant,
  { gate, callOf, embedded }: SetupOptions,
): Promise<void> {
  const device = await gate.connectedDevice(participant.id);
  if (!device) return;
  const other = callOf(device.id);
  // The caller may have cancelled the first call and got its 487 while our 200 is still under way to the SIP server.
  await other?.decided();
  call.setup.throwIfAborted();
  const isGone =
    other && (other.keeper.isUnproven || (!other.wasAcknowledged && isCutOff(other, call, embedded)));
  if (isGone) other.hangUp('replaced');
  if (other?.ended) return;
  throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant is connected already.');
}

/**
 * Whether the TCP or TLS connection of a call is lost. That may not be known yet: if the same host calls again by another
 * connection, the phone has lost the first one.
 */
function isCutOff(
  { dialog, origin }: PhoneCall,
  { origin: now }: PhoneCall,
  embedded: EmbeddedServer | undefined,
): boolean {
  if (dialog && embedded?.hasLostConnection(dialog.id) === true) return true;
  return origin.isConnection && now.address === origin.address && now.port !== origin.port;
}

/** What the 200 must still carry. */
interface FinalDescription {
  /** The description that was agreed on by 183 and PRACK. */
  readonly description?: PhoneDescription;
  readonly localSdp: string | undefined;
  /** Whether `localSdp` is an offer, so that the answer must be in the ACK. */
  readonly offer: boolean;
}

/** If the phone requires reliable provisional responses, it gets our description in a 183 before the 200. */
async function describeToPhone(
  call: PhoneCall,
  invite: SipRequest,
  responder: SipResponder,
  { sdp }: PhoneDescription,
  { pracks, observer }: SetupOptions,
): Promise<FinalDescription> {
  const offer = sdpOf(invite) === undefined;
  if (!lists(invite, 'require', '100rel')) return { localSdp: sdp, offer };
  const received = await pracks.progress(call, invite, responder, sdp);
  const settled = offer ? await takeAnswer(call, received) : await answerOffer(call, received, sdp, observer);
  call.setup.throwIfAborted();
  return { ...settled, offer: false };
}

type Settled = Omit<FinalDescription, 'offer'>;

/** The INVITE had no offer, so our 183 carried one: the answer is in the PRACK. */
async function takeAnswer(call: PhoneCall, { prack, responder }: ReceivedPrack): Promise<Settled> {
  responder.send(200, {});
  const sdpAnswer = sdpOf(prack);
  if (sdpAnswer === undefined) throw new Refusal(488, 'The PRACK carries no answer to our offer.');
  const description = await call.media.answer(sdpAnswer);
  call.described(description);
  return { localSdp: undefined, description };
}

/**
 * Our 183 carried the answer, so a description in the PRACK is another offer (RFC 3262 section 5).
 * @returns the description that the 200 to the INVITE repeats: none after a second offer, which changed it
 */
async function answerOffer(
  call: PhoneCall,
  { prack, responder }: ReceivedPrack,
  answered: string,
  observer: SetupOptions['observer'],
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
    // After an offer that cannot be accepted the call goes on as agreed before.
    refuse(error, prack, responder, { log: call.log, observer });
    return { localSdp: answered };
  }
}

/** Sends 200. `onDialog` runs before any later message of the call is handled. */
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
        // A string is an answer of the SIP server: the INVITE transaction is over.
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
 * Tells a call's setup that the call ended meanwhile. `AbortSignal` would do the same, but each of them has a hidden class
 * of its own: 2,000 of them, ten seconds of a busy gateway, take about 2 MB of the old generation.
 */
export class SetupSignal {
  #reason: Refusal | undefined;
  #listener: ((reason: Refusal) => void) | undefined;

  /** The refusal of the INVITE; absent while the call may be answered. */
  get reason(): Refusal | undefined {
    return this.#reason;
  }

  /** Later reasons are ignored. */
  abort(reason: Refusal): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#listener?.(reason);
    this.#listener = undefined;
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason;
  }

  /** Sets the one listener, since setup waits in one place at a time; undefined removes it. */
  onAbort(listener: ((reason: Refusal) => void) | undefined): void {
    this.#listener = listener;
  }
}
