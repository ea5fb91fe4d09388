import {
  type DeviceCapabilities,
  type DtmfDigits,
  type EndReason,
  type MediaFormats,
  type Participant,
  PatchbayError,
} from '../../core/index.js';
import type {
  MediaListener,
  MediaLossCause,
  MediaStreamInfo,
  PhoneDescription,
  PhoneHandle,
  PhoneMediaEvent,
  PhoneSpec,
  SipSource,
} from '../../media/index.js';
import { MediaDevice } from '../media-device.js';
import { DigitMerger, type DigitWay } from './dialog/dtmf-info.js';
import { type OfferAnswer, renegotiate } from './dialog/offer-answer.js';
import { asPatchbayError, endingHeader, endingText, Refusal } from './refusal.js';
import type { CallOrigin, PhoneCallOptions, PhoneGate } from './options.js';
import { ByeSender } from './dialog/bye.js';
import { CallKeeper } from './restore/call-keeper.js';
import type { CallRecord } from './restore/call-record.js';
import { SetupSignal } from './setup.js';
import type { Headers, SipDialog } from './sip.js';

/**
 * One phone's call, from the INVITE to the end: the core's device, its media and, once it is answered, its dialog. It
 * ends once, whichever side ends it first.
 */
export class PhoneCall extends MediaDevice<PhoneHandle> {
  readonly capabilities: DeviceCapabilities = {
    hold: true,
    sendDtmf: (dtmf) => this.#sendDtmf(dtmf),
    setByeHeaders: (headers) => this.keeper.setByeHeaders({ ...headers }),
    takenOver: () => this.#takenOver(),
  };
  readonly #options: PhoneCallOptions;
  /** Aborts when the call ends before it is answered, with the refusal of the INVITE. */
  readonly setup = new SetupSignal();
  readonly byes: ByeSender;
  readonly keeper: CallKeeper;
  readonly #listener: MediaListener<PhoneMediaEvent> = this.listener((event) => this.#takeMediaEvent(event));
  readonly #digits = new DigitMerger();
  readonly #undoAtEnd: (() => void)[] = [];
  #decidedListeners: (() => void)[] = [];
  #dialog: SipDialog | undefined;
  #exchange: OfferAnswer | undefined;
  /** A transfer is under way: the dialog of the phone that asked for it. */
  #handover: SipDialog | undefined;
  #answering = false;

  constructor(options: PhoneCallOptions) {
    super({ info: options.info, log: options.log, receivable: ['audio'] });
    this.#options = options;
    this.byes = new ByeSender(options, this.log);
    this.keeper = new CallKeeper(this, options.keeper);
  }

  /** Whether its 200 was handed to the SIP server, which may not have confirmed it yet. */
  get wasAnswered(): boolean {
    return this.#answering || this.#exchange !== undefined;
  }

  get formats(): MediaFormats {
    return this.keeper.formats;
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

  /** The offers and answers of {@link dialog}. */
  get exchange(): OfferAnswer | undefined {
    return this.#exchange;
  }

  /** Whether the phone transfers its call, and nobody has answered that yet. */
  get isTransferring(): boolean {
    return this.#handover !== undefined && this.#handover === this.#dialog;
  }

  /**
   * Opens the phone's media.
   * @throws MediaError BAD_SDP, NO_COMMON_CODEC, NO_PORT; and what {@link setup} aborts with
   */
  async openMedia(sdpOffer: string | undefined, sessionId?: string): Promise<PhoneDescription> {
    this.setup.throwIfAborted();
    const spec = { ...this.#spec, sessionId, ...(sdpOffer !== undefined && { sdpOffer }) };
    const handle = this.#options.media.open(spec, this.#listener);
    this.openedAs(handle);
    try {
      const description = await handle.opened;
      // Before the call is connected, so that `onConnect` says how its media are carried.
      this.keeper.learnFormats(description.audio, description.stream?.codecs[0]);
      return description;
    } finally {
      // If the call ended meanwhile, its media failed because they were closed: report why the call ended instead.
      this.setup.throwIfAborted();
    }
  }

  /**
   * @param replaced the device of the participant that it replaces
   * @param description of its media, which the core learns with the connection
   * @throws PatchbayError of `DeviceGate.connect`; what {@link setup} aborts with
   */
  async connect(
    gate: PhoneGate,
    participant: Participant,
    description: PhoneDescription,
    replaced?: string,
  ): Promise<void> {
    const connection = gate.connect(participant, this, { replace: replaced ?? false });
    this.connectedBy(connection);
    this.keeper.connectedAt = Date.now();
    this.described(description);
    await connection.admitted;
    this.setup.throwIfAborted();
  }

  /** Connects to the core as the device that it was for an earlier gateway. @throws PatchbayError as {@link connect} */
  async reconnect(
    gate: PhoneGate,
    participant: Participant,
    { connectedAt: carriedSince, held }: CallRecord,
  ): Promise<void> {
    const connection = gate.connect(participant, this, { replace: false, carriedSince, held });
    this.connectedBy(connection);
    await connection.admitted;
  }

  /** Goes on with media of an earlier gateway, which `open` gets hold of. */
  takeMedia(open: (spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>) => PhoneHandle): PhoneHandle {
    const handle = open(this.#spec, this.#listener);
    this.openedAs(handle, true);
    this.keeper.soon();
    // An event of the time without a gateway may have ended the call, before its media were known here.
    if (this.ended) void handle.close();
    return handle;
  }

  /** The token of its INVITE belongs to this participant. */
  identified(participant: Participant): void {
    this.identifiedAs(participant);
  }

  /** The media have a new description: what the phone publishes, with which codec, and whether it holds. */
  described({ stream, held, audio }: Pick<PhoneDescription, 'stream' | 'held' | 'audio'>): void {
    this.keeper.held = held;
    this.keeper.learnFormats(audio, stream?.codecs[0]);
    this.publish(stream);
    this.connection?.hold(held);
  }

  /** Publishes the phone's one stream, if the participant may. */
  publish(stream: MediaStreamInfo | undefined): void {
    this.keeper.learnFormats(undefined, stream?.codecs[0]);
    this.connection?.formatsChanged();
    const mayPublish = this.connection?.participant.publishPermissions.includes('audio') ?? false;
    this.connection?.publish(
      stream && mayPublish ? [{ streamId: stream.streamId, mediaTypes: ['audio'] }] : [],
    );
  }

  /** The phone reports a key press. One that is reported both ways counts once. */
  dtmf(way: DigitWay, digit: string, durationMs: number): void {
    if (this.#digits.isNew(way, digit)) this.connection?.dtmf(digit, durationMs);
  }

  /** The 200 is sent next, with the offer if the INVITE, of CSeq `lateOffer`, had none. The phone may be connected then. */
  answering(lateOffer?: number): void {
    this.#answering = true;
    this.keeper.lateOffer = lateOffer;
  }

  /** The embedded SIP server has something new to keep of the call's dialog; the first time, just before it sends the 200. */
  dialogChanged(dialogId: string): void {
    const isFirst = this.keeper.dialogId === undefined;
    this.keeper.dialogId ??= dialogId;
    if (isFirst) this.keeper.now();
    else this.keeper.soon();
  }

  /** Resolves when no 200 is under way: the SIP server has accepted or refused it, or the call ended. */
  async decided(): Promise<void> {
    if (!this.#answering || this.#exchange || this.ended) return;
    await new Promise<void>((resolve) => this.#decidedListeners.push(resolve));
  }

  /** Our 200 was sent: without ACK and media, nobody is there. */
  awaitAck(dialog: SipDialog): void {
    this.byes.awaitAck(dialog, () => {
      if (!this.keeper.wasHeard) this.hangUp('media-timeout', 'Neither an ACK nor media came.');
    });
  }

  /** A SIP message of the phone within the call came, from this source. */
  confirmed(source: SipSource): void {
    if (this.ended) return;
    this.keeper.isUnproven = false;
    this.media.confirm(source).catch((error: unknown) => {
      this.log.error({ err: error }, 'The media plane could not be told where the phone is.');
    });
  }

  /** The call has this dialog from now on, instead of any other: it ends by BYE. */
  answered(dialog: SipDialog, exchange: OfferAnswer): void {
    if (this.endReason !== undefined) {
      // The call ended before the SIP server confirmed the 200.
      this.byes.send(dialog, { ...this.keeper.byeHeaders, Reason: endingHeader(this.endReason) });
      return;
    }
    const first = this.#exchange === undefined;
    this.#dialog = dialog;
    this.#exchange = exchange;
    const isRestored = this.keeper.answeredAt > 0;
    if (!isRestored) this.keeper.answeredAt = Date.now();
    this.keeper.dialogId = dialog.id;
    this.keeper.soon();
    this.#options.onDialog(this, dialog);
    dialog.on('destroy', (_bye, reason) => this.#onBye(dialog, reason));
    if (!first) return;
    this.#tellDecided();
    this.#limitDuration();
    if (!isRestored) this.log.info({ ...this.keeper.audio }, 'Call answered.');
  }

  /** A transfer target is being called: the call outlives a BYE of this phone. */
  beginHandover(): void {
    this.#handover = this.#dialog;
    this.keeper.soon();
  }

  /** The transfer is over. The target's dialog was passed to {@link answered}, or the target did not answer. */
  endHandover(): void {
    this.#handover = undefined;
    this.keeper.soon();
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

  /** Whether requests may be sent in the call now. */
  get mayActNow(): boolean {
    return this.#options.lease?.isHeld ?? true;
  }

  /** Resolves when requests may be sent in the call: no other gateway can have taken it over. */
  async mayAct(): Promise<void> {
    if (!this.mayActNow) await this.#options.lease?.whenHeld();
  }

  #takenOver(): void {
    this.byes.takenOver();
    this.log.info({}, 'Another gateway goes on with the call.');
    if (this.#dialog) this.#options.onTakenOver(this.#dialog);
    this.#dialog = undefined;
    this.end('lost');
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

  /** Ends the call and tells the phone why. @param headers of the BYE; default: the reason, and those that were set */
  hangUp(reason: EndReason, text = endingText(reason), headers?: Headers): void {
    if (this.ended) return;
    this.log.info({ reason }, 'Hanging up.');
    this.setup.abort(new Refusal(480, text));
    // BYE is sent before the media are closed, so that the phone does not hear silence.
    if (this.#dialog) {
      const bye = headers ?? { ...this.keeper.byeHeaders, Reason: endingHeader(reason, text) };
      this.keeper.owesBye(bye);
      this.byes.send(this.#dialog, bye, () => this.keeper.byeOver());
    }
    this.#dialog = undefined;
    this.end(reason);
  }

  #onBye(dialog: SipDialog, reason: string | undefined): void {
    if (dialog !== this.#dialog) return;
    this.log.info({ reason }, 'The phone hung up.');
    this.#dialog = undefined;
    this.keeper.soon();
    if (!this.#handover) this.end('left');
  }

  /** The setup that waits for the core ends the call. */
  protected override refused(): void {}

  protected override endByCore(reason: EndReason): void {
    this.hangUp(reason);
  }

  protected override onEnd(): void {
    for (const undo of this.#undoAtEnd) undo();
    this.keeper.over();
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
    this.keeper.wasHeard = true;
    this.keeper.isUnproven = false;
  }

  #takeMediaEvent(event: PhoneMediaEvent): void {
    if (event.type === 'renegotiate') void renegotiate(this);
    else if (event.type === 'state') this.keeper.mediaState(event.state, event.host);
    else this.takeEvent(event);
  }

  get #spec(): PhoneSpec {
    const { address, isDirect, isConnection } = this.origin;
    return {
      kind: 'phone',
      ...this.spec,
      labels: { ...this.labels, callId: this.info.externalId },
      source: { address, isDirect, isConnection },
    };
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
    const passedMs = Math.max(0, Date.now() - this.keeper.answeredAt);
    const leftMs = Math.max(0, this.#options.maxCallMs - passedMs);
    const timer = setTimeout(() => this.hangUp('max-duration'), leftMs);
    this.atEnd(() => clearTimeout(timer));
  }
}
