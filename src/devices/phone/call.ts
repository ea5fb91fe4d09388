import type { Logger } from 'pino';
import {
  type DeviceCapabilities,
  type DeviceInfo,
  type DtmfDigits,
  type EndReason,
  type Participant,
  PatchbayError,
} from '../../core/index.js';
import type {
  MediaLossCause,
  MediaStreamInfo,
  PhoneDescription,
  PhoneDoor,
  PhoneHandle,
  PhoneMediaEvent,
  SipSource,
} from '../../media/index.js';
import { MediaDevice } from '../media-device.js';
import { DigitMerger, type DigitWay } from './dialog/dtmf-info.js';
import type { OfferAnswer } from './dialog/offer-answer.js';
import { asPatchbayError, endingHeader, endingText, logFailure, Refusal } from './refusal.js';
import type { PhoneGate } from './options.js';
import { type ByeOutcome, sendBye, untilAck } from './dialog/bye.js';
import { SetupSignal } from './setup.js';
import type { Headers, SipDialog } from './sip.js';

/** Where an INVITE came from. */
interface CallOrigin extends SipSource {
  readonly port: number | undefined;
}

interface PhoneCallOptions {
  readonly info: DeviceInfo;
  readonly media: PhoneDoor;
  readonly log: Logger;
  /** 0: unlimited. */
  readonly maxCallMs: number;
  /** Where its INVITE came from. */
  readonly origin: CallOrigin;
  /** Called once, when the call is over and its media are freed; a BYE may still be under way. */
  readonly onEnded: (call: PhoneCall, reason: EndReason) => void;
  /** Waits so many ms, or until the SIP server can be reached again. */
  readonly pause: (ms: number) => Promise<void>;
  /** Called when we hang up, with a promise of the BYE's end; it never rejects. */
  readonly onBye: (bye: Promise<void>) => void;
  /** Called when a BYE could not be handed to the SIP server, and is to be sent later. */
  readonly onByeUnsent: (unsent: UnsentBye) => void;
  /** Called when the SIP server was away, and has lost the dialog of a BYE meanwhile. */
  readonly onByeForgotten: (unsent: UnsentBye) => void;
}

/** A BYE that the phone has yet to get. */
export interface UnsentBye {
  readonly dialog: SipDialog;
  readonly headers: Headers;
}

/**
 * One phone's call, from the INVITE to the end: the device that the core sees, the media that belong to it and the
 * dialog, once there is one. It ends once, from whichever side is first.
 */
export class PhoneCall extends MediaDevice<PhoneHandle> {
  readonly capabilities: DeviceCapabilities = {
    hold: true,
    sendDtmf: (dtmf) => this.#sendDtmf(dtmf),
    setByeHeaders: (headers) => {
      this.#byeHeaders = { ...headers };
    },
  };
  readonly #options: PhoneCallOptions;
  /** Aborts with what the INVITE is to be refused with when the call ends before it is answered. */
  readonly setup = new SetupSignal();
  readonly #digits = new DigitMerger();
  readonly #undoAtEnd: (() => void)[] = [];
  #decidedListeners: (() => void)[] = [];
  #dialog: SipDialog | undefined;
  #exchange: OfferAnswer | undefined;
  #handover = false;
  #answering = false;
  /** Media came from the phone. */
  #wasHeard = false;
  /** Absent until it is agreed on. */
  #audio: PhoneDescription['audio'];
  #byeHeaders: Headers = {};
  /** Absent once our 200 is acknowledged. */
  #acknowledgement: Promise<void> | undefined;

  constructor(options: PhoneCallOptions) {
    super({ info: options.info, log: options.log, receivable: ['audio'] });
    this.#options = options;
  }

  /** Whether its 200 is out, though the SIP server may have yet to confirm that. */
  get wasAnswered(): boolean {
    return this.#answering || this.#exchange !== undefined;
  }

  get origin(): CallOrigin {
    return this.#options.origin;
  }

  /** Whether the phone has shown that our 200 reached it. */
  get wasAcknowledged(): boolean {
    return this.#dialog !== undefined && this.#acknowledgement === undefined;
  }

  /** Absent until the call is answered, and after its end. */
  get dialog(): SipDialog | undefined {
    return this.#dialog;
  }

  /**
   * Opens the phone's media.
   * @throws MediaError BAD_SDP, NO_COMMON_CODEC, NO_PORT; and what {@link setup} aborts with
   */
  async openMedia(sdpOffer: string | undefined, sessionId?: string): Promise<PhoneDescription> {
    this.setup.throwIfAborted();
    const { address, isDirect, isConnection } = this.origin;
    const spec = {
      kind: 'phone',
      deviceId: this.info.id,
      sessionId,
      labels: { ...this.labels, callId: this.info.externalId },
      source: { address, isDirect, isConnection },
      ...(sdpOffer !== undefined && { sdpOffer }),
    } as const;
    const handle = this.#options.media.open(
      spec,
      this.listener((event) => this.#takeMediaEvent(event)),
    );
    this.openedAs(handle);
    try {
      return await handle.opened;
    } finally {
      // A call that ended meanwhile closed its media, and why it ended is what counts.
      this.setup.throwIfAborted();
    }
  }

  /** @throws PatchbayError PARTICIPANT_NOT_FOUND, ALREADY_CONNECTED, SHUTTING_DOWN; what {@link setup} aborts with */
  connect(gate: PhoneGate, participant: Participant, replace = false): void {
    this.connectedBy(gate.connect(participant.id, this, { replace }));
    this.setup.throwIfAborted();
  }

  /** The token of its INVITE is of this participant. */
  identified(participant: Participant): void {
    this.identifiedAs(participant);
  }

  /** The media are described anew: what the phone publishes, how, and whether it holds. */
  described({ stream, held, audio }: Pick<PhoneDescription, 'stream' | 'held' | 'audio'>): void {
    this.#audio = audio ?? this.#audio;
    this.publish(stream);
    this.connection?.hold(held);
  }

  /** Publishes the phone's one stream, if the participant may. */
  publish(stream: MediaStreamInfo | undefined): void {
    const mayPublish = this.connection?.participant.publishPermissions.includes('audio') ?? false;
    this.connection?.publish(
      stream && mayPublish ? [{ streamId: stream.streamId, mediaTypes: ['audio'] }] : [],
    );
  }

  /** A key press of the phone; one that comes by both ways counts once. */
  dtmf(way: DigitWay, digit: string, durationMs: number): void {
    if (this.#digits.isNew(way, digit)) this.connection?.dtmf(digit, durationMs);
  }

  /** The 200 goes out: from here on the phone may take itself for connected. */
  answering(): void {
    this.#answering = true;
  }

  /** Resolves when the SIP server has taken the 200 or refused it, or there will be none; at once if all that is over. */
  async decided(): Promise<void> {
    if (!this.#answering || this.#exchange || this.ended) return;
    await new Promise<void>((resolve) => this.#decidedListeners.push(resolve));
  }

  /** Our 200 is out: a BYE has to wait for its ACK, or until none is to be expected (RFC 3261 section 15). */
  awaitAck(dialog: SipDialog): void {
    this.#acknowledgement = untilAck(dialog, {
      acknowledged: () => {
        this.#acknowledgement = undefined;
      },
      silent: () => this.#endIfSilent(),
    });
  }

  /** A SIP message of the phone within the call came: somebody is there. */
  confirmed(source: SipSource): void {
    if (this.ended) return;
    this.media.confirm(source).catch((error: unknown) => {
      this.log.error({ err: error }, 'The media plane could not be told of the phone.');
    });
  }

  /** The call has this dialog, in place of any other: from here on it ends by BYE. */
  answered(dialog: SipDialog, exchange: OfferAnswer): void {
    if (this.endReason !== undefined) {
      // It was ended while the SIP server had the 200 in hand.
      this.sayBye(dialog, { ...this.#byeHeaders, Reason: endingHeader(this.endReason) });
      return;
    }
    const first = this.#exchange === undefined;
    this.#dialog = dialog;
    this.#exchange = exchange;
    dialog.on('destroy', (_bye, reason) => this.#onBye(dialog, reason));
    if (!first) return;
    this.#tellDecided();
    this.#limitDuration();
    this.log.info({ ...this.#audio }, 'Call answered.');
  }

  /** Another phone is being called to take this one's place: the call outlives a BYE of this one. */
  beginHandover(): void {
    this.#handover = true;
  }

  /** The other phone was {@link answered} in this one's place, or will not be. */
  endHandover(): void {
    this.#handover = false;
    if (!this.#dialog) this.end('left');
  }

  /** What is to be undone at the call's end. */
  atEnd(undo: () => void): void {
    this.#undoAtEnd.push(undo);
  }

  /** The phone, or the SIP server that we reach it by, does not know the call any more. */
  vanished(reason: 'left' | 'lost'): void {
    this.log.info({ reason }, 'The call is over on the other side.');
    this.#dialog = undefined;
    this.end(reason);
  }

  /** The caller gave up before the answer. */
  cancelled(): void {
    this.setup.abort(new Refusal(487, 'The caller cancelled the call.'));
    this.end('left');
  }

  /** The call could not be set up: frees what it has. */
  failed(): void {
    this.end('error');
  }

  /** Ends the call from our side, telling the phone why. */
  hangUp(reason: EndReason, text = endingText(reason)): void {
    if (this.ended) return;
    this.log.info({ reason }, 'Hanging up.');
    this.setup.abort(new Refusal(480, text));
    // BYE goes out before the media are torn down, so that the phone does not sit in silence.
    if (this.#dialog) this.sayBye(this.#dialog, { ...this.#byeHeaders, Reason: endingHeader(reason, text) });
    this.#dialog = undefined;
    this.end(reason);
  }

  /** Sends BYE in a dialog of this call. */
  sayBye(dialog: SipDialog, headers: Headers): void {
    const unsent = { dialog, headers };
    const send = (): Promise<ByeOutcome> => sendBye(dialog, headers, { pause: this.#options.pause });
    const sent = this.#acknowledgement ? this.#acknowledgement.then(send) : send();
    const bye = sent.then(
      (outcome) => {
        if (outcome === 'forgotten') this.#options.onByeForgotten(unsent);
        if (outcome === 'unreachable') this.log.warn({}, 'BYE could not be sent to where the phone is.');
      },
      (error: unknown) => {
        this.log.warn({ err: error }, 'BYE could not be sent; it waits for the SIP server.');
        this.#options.onByeUnsent(unsent);
      },
    );
    this.#options.onBye(bye);
  }

  #onBye(dialog: SipDialog, reason: string | undefined): void {
    if (dialog !== this.#dialog) return;
    this.log.info({ reason }, 'The phone hung up.');
    this.#dialog = undefined;
    if (!this.#handover) this.end('left');
  }

  protected override endByCore(reason: EndReason): void {
    this.hangUp(reason);
  }

  protected override onEnd(): void {
    for (const undo of this.#undoAtEnd) undo();
    this.#tellDecided();
  }

  protected override onFreed(reason: EndReason): void {
    super.onFreed(reason);
    this.#options.onEnded(this, reason);
  }

  protected override streamsChanged([stream]: readonly MediaStreamInfo[]): void {
    this.publish(stream);
  }

  protected override digitHeard(digit: string, durationMs: number): void {
    this.dtmf('rtp', digit, durationMs);
  }

  protected override mediaLost(cause: MediaLossCause): void {
    this.hangUp(cause === 'timeout' ? 'media-timeout' : 'lost');
  }

  protected override heard(): void {
    this.#wasHeard = true;
  }

  #takeMediaEvent(event: PhoneMediaEvent): void {
    if (event.type === 'renegotiate') void this.#renegotiate();
    else this.takeEvent(event);
  }

  /** The media changed by themselves: offers the phone what they are now. */
  async #renegotiate(): Promise<void> {
    try {
      const offered = await this.#exchange?.offer({});
      if (offered?.outcome !== 'accepted') this.hangUp('error', 'The phone did not take the new media.');
    } catch (error) {
      logFailure(this.log, error, 'The media could not be offered anew.');
      this.hangUp('error');
    }
  }

  async #sendDtmf(dtmf: DtmfDigits): Promise<void> {
    try {
      await this.media.sendDtmf(dtmf);
    } catch (error) {
      if (!this.ended) throw asPatchbayError(error);
      throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The call is over.', { cause: error });
    }
  }

  #tellDecided(): void {
    for (const listener of this.#decidedListeners.splice(0)) listener();
  }

  #endIfSilent(): void {
    if (!this.#wasHeard) this.hangUp('media-timeout', 'Neither an ACK nor media came.');
  }

  #limitDuration(): void {
    if (this.#options.maxCallMs <= 0) return;
    const timer = setTimeout(() => this.hangUp('max-duration'), this.#options.maxCallMs);
    this.atEnd(() => clearTimeout(timer));
  }
}
