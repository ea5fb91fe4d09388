import type { Logger } from 'pino';
import {
  type DeviceCapabilities,
  type DeviceInfo,
  type DtmfDigits,
  type EndReason,
  type MediaFormats,
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
import { type ByeEvents, ByeSender } from './dialog/bye.js';
import { SetupSignal } from './setup.js';
import type { Headers, SipDialog } from './sip.js';

/** Where an INVITE came from. */
interface CallOrigin extends SipSource {
  readonly port: number | undefined;
}

interface PhoneCallOptions extends ByeEvents {
  readonly info: DeviceInfo;
  readonly media: PhoneDoor;
  readonly log: Logger;
  /** 0: unlimited. */
  readonly maxCallMs: number;
  /** Where its INVITE came from. */
  readonly origin: CallOrigin;
  /** Called once, when the call is over and its media are closed; a BYE may still be under way. */
  readonly onEnded: (call: PhoneCall, reason: EndReason) => void;
}

/**
 * One phone's call, from the INVITE to the end: the core's device, its media and, once it is answered, its dialog. It
 * ends once, whichever side ends it first.
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
  /** Aborts when the call ends before it is answered, with the refusal of the INVITE. */
  readonly setup = new SetupSignal();
  readonly byes: ByeSender;
  readonly #digits = new DigitMerger();
  readonly #undoAtEnd: (() => void)[] = [];
  #decidedListeners: (() => void)[] = [];
  #dialog: SipDialog | undefined;
  #exchange: OfferAnswer | undefined;
  #handover = false;
  #answering = false;
  /** The phone has sent media. */
  #wasHeard = false;
  /** Absent until the codec is agreed on. */
  #audio: PhoneDescription['audio'];
  /** The codec that the phone sends, which may be another agreed one than we send. */
  #codecReceived: string | undefined;
  #byeHeaders: Headers = {};

  constructor(options: PhoneCallOptions) {
    super({ info: options.info, log: options.log, receivable: ['audio'] });
    this.#options = options;
    this.byes = new ByeSender(options, this.log);
  }

  /** Whether its 200 was handed to the SIP server, which may not have confirmed it yet. */
  get wasAnswered(): boolean {
    return this.#answering || this.#exchange !== undefined;
  }

  get formats(): MediaFormats {
    if (!this.#audio) return {};
    const { codec, encryption } = this.#audio;
    return {
      received: { codecs: [this.#codecReceived ?? codec], encryption },
      sent: { codecs: [codec], encryption },
    };
  }

  get origin(): CallOrigin {
    return this.#options.origin;
  }

  /** Whether the phone has acknowledged our 200. */
  get wasAcknowledged(): boolean {
    return this.#dialog !== undefined && !this.byes.awaitsAck;
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
      const description = await handle.opened;
      // Before the call is connected, so that `onConnect` says how its media are carried.
      this.#learnFormats(description);
      return description;
    } finally {
      // If the call ended meanwhile, its media failed because they were closed: report why the call ended instead.
      this.setup.throwIfAborted();
    }
  }

  /** @throws PatchbayError PARTICIPANT_NOT_FOUND, ALREADY_CONNECTED, SHUTTING_DOWN; what {@link setup} aborts with */
  connect(gate: PhoneGate, participant: Participant, replace = false): void {
    this.connectedBy(gate.connect(participant.id, this, { replace }));
    this.setup.throwIfAborted();
  }

  /** The token of its INVITE belongs to this participant. */
  identified(participant: Participant): void {
    this.identifiedAs(participant);
  }

  /** The media have a new description: what the phone publishes, with which codec, and whether it holds. */
  described({ stream, held, audio }: Pick<PhoneDescription, 'stream' | 'held' | 'audio'>): void {
    this.#learnFormats({ stream, audio });
    this.publish(stream);
    this.connection?.hold(held);
  }

  #learnFormats({
    stream,
    audio,
  }: {
    stream?: MediaStreamInfo | undefined;
    audio?: PhoneDescription['audio'] | undefined;
  }): void {
    this.#audio = audio ?? this.#audio;
    this.#codecReceived = stream?.codecs[0] ?? this.#codecReceived;
    this.connection?.formatsChanged();
  }

  /** Publishes the phone's one stream, if the participant may. */
  publish(stream: MediaStreamInfo | undefined): void {
    const mayPublish = this.connection?.participant.publishPermissions.includes('audio') ?? false;
    this.connection?.publish(
      stream && mayPublish ? [{ streamId: stream.streamId, mediaTypes: ['audio'] }] : [],
    );
  }

  /** The phone reports a key press. One that is reported both ways counts once. */
  dtmf(way: DigitWay, digit: string, durationMs: number): void {
    if (this.#digits.isNew(way, digit)) this.connection?.dtmf(digit, durationMs);
  }

  /** The 200 is being sent: from now on the phone may regard itself as connected. */
  answering(): void {
    this.#answering = true;
  }

  /** Resolves when no 200 is under way: the SIP server has accepted or refused it, or the call ended. */
  async decided(): Promise<void> {
    if (!this.#answering || this.#exchange || this.ended) return;
    await new Promise<void>((resolve) => this.#decidedListeners.push(resolve));
  }

  /** Our 200 was sent: without ACK and media, nobody is there. */
  awaitAck(dialog: SipDialog): void {
    this.byes.awaitAck(dialog, () => {
      if (!this.#wasHeard) this.hangUp('media-timeout', 'Neither an ACK nor media came.');
    });
  }

  /** A SIP message of the phone within the call came, from this source. */
  confirmed(source: SipSource): void {
    if (this.ended) return;
    this.media.confirm(source).catch((error: unknown) => {
      this.log.error({ err: error }, 'The media plane could not be told where the phone is.');
    });
  }

  /** The call has this dialog from now on, instead of any other: it ends by BYE. */
  answered(dialog: SipDialog, exchange: OfferAnswer): void {
    if (this.endReason !== undefined) {
      // The call ended before the SIP server confirmed the 200.
      this.byes.send(dialog, { ...this.#byeHeaders, Reason: endingHeader(this.endReason) });
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

  /** A transfer target is being called: the call outlives a BYE of this phone. */
  beginHandover(): void {
    this.#handover = true;
  }

  /** The transfer is over. The target's dialog was passed to {@link answered}, or the target did not answer. */
  endHandover(): void {
    this.#handover = false;
    if (!this.#dialog) this.end('left');
  }

  /** Registers what is to be undone at the call's end. */
  atEnd(undo: () => void): void {
    this.#undoAtEnd.push(undo);
  }

  /** The phone, or the SIP server, does not know the call any more. */
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

  /** The call could not be set up: frees what it holds. */
  failed(): void {
    this.end('error');
  }

  /** Ends the call and tells the phone why. */
  hangUp(reason: EndReason, text = endingText(reason)): void {
    if (this.ended) return;
    this.log.info({ reason }, 'Hanging up.');
    this.setup.abort(new Refusal(480, text));
    // BYE is sent before the media are closed, so that the phone does not hear silence.
    if (this.#dialog)
      this.byes.send(this.#dialog, { ...this.#byeHeaders, Reason: endingHeader(reason, text) });
    this.#dialog = undefined;
    this.end(reason);
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
    this.#learnFormats({ stream });
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
    else if (event.type !== 'state') this.takeEvent(event);
  }

  /** The media plane changed the phone's media: offers the phone the new description. */
  async #renegotiate(): Promise<void> {
    try {
      const offered = await this.#exchange?.offer({});
      if (offered?.outcome !== 'accepted') this.hangUp('error', 'The phone refused the new media.');
    } catch (error) {
      logFailure(this.log, error, 'The new media could not be offered.');
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

  #limitDuration(): void {
    if (this.#options.maxCallMs <= 0) return;
    const timer = setTimeout(() => this.hangUp('max-duration'), this.#options.maxCallMs);
    this.atEnd(() => clearTimeout(timer));
  }
}
