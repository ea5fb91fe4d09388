import type { MediaFormats } from '../../../core/index.js';
import type { PhoneAudio } from '../../../media/index.js';
import type { PhoneCall } from '../call.js';
import type { Headers } from '../sip.js';
import {
  type CallRecord,
  type DialogRecord,
  type ExchangeRecord,
  type FreeswitchRecord,
  noteOf,
} from './call-record.js';
import type { LeftCall } from './left-calls.js';
import { dialogRecordOf } from './restored-dialog.js';

/** Where calls outlive both the gateway and their media host. Written behind. */
export interface CallStore {
  /** Those that were left at the start. Waits until the leader tells them. */
  calls(): Promise<readonly { readonly id: string; readonly document: string }[]>;
  saveCall(id: string, document: string): void;
  deleteCall(id: string): void;
}

/** What the embedded SIP server tells beyond drachtio's protocol. */
export interface EmbeddedServer {
  /** Whether the phone's connection of a dialog is closed. */
  hasLostConnection(dialogId: string): boolean;
  /** What it needs to go on with a dialog in another process. */
  savedDialog(dialogId: string): DialogRecord | undefined;
  /** Goes on with a dialog of another gateway. @returns its record now; undefined when it cannot be gone on with */
  takeOver(dialog: DialogRecord): DialogRecord | undefined;
  /** Forgets a dialog that another gateway has. */
  giveAway(dialogId: string): void;
}

/** Phones' ways through FreeSWITCH. */
export interface FreeswitchRecords {
  /** What another gateway needs to go on with a device's way; undefined when it goes without FreeSWITCH. */
  recordOf(deviceId: string): FreeswitchRecord | undefined;
}

export interface KeeperOptions {
  /** Names the SIP server, the same over restarts. */
  readonly sipServer: string;
  /** Absent when there is only one. */
  readonly gatewayId: string | undefined;
  /** Absent with drachtio-server. */
  readonly embedded: EmbeddedServer | undefined;
  /** Absent without FreeSWITCH. */
  readonly freeswitch: FreeswitchRecords | undefined;
  readonly calls: CallStore | undefined;
}

/** What the media plane needs to go on with a call's media after their process died. */
export interface MediaState {
  readonly state: string;
  /** When the media plane gave it out, in epoch milliseconds. */
  readonly stateAt: number;
  /** The media host; absent when the media are in the gateway's process. */
  readonly host?: string;
}

/** A call in the store. Without the state of its media there is but a BYE owed. */
export interface StoredCall extends Partial<MediaState> {
  readonly note: string;
}

/** Calls are written to the store so many ms after they changed; for the first time sooner, since until then they can be lost. */
const SAVE_WITHIN_MS = 500;
const SAVE_FIRST_WITHIN_MS = 100;

const NO_EXCHANGE: ExchangeRecord = { isFirst: false, owesOffer: false };

/**
 * Keeps what another gateway needs to go on with one call: with the media host, which outlives this gateway, before the 200
 * is sent and after each change; and in the store with the state of its media, for when both die.
 */
export class CallKeeper {
  readonly #call: PhoneCall;
  readonly #options: KeeperOptions;
  /** The SIP server's id of the call's dialog; absent until the 200 is sent. */
  dialogId: string | undefined;
  connectedAt = 0;
  answeredAt = 0;
  held = false;
  wasHeard = false;
  /**
   * The call comes from the store alone, and nothing has come from its phone since: the phone may have hung up just before
   * both the gateway and the media host died.
   */
  isUnproven = false;
  /** Absent until the codec is agreed on. */
  audio: PhoneAudio | undefined;
  /** The codec that the phone sends, which may be another agreed one than we send. */
  #codecReceived: string | undefined;
  byeHeaders: Headers = {};
  /** CSeq of the INVITE, if our 200 has the offer. */
  lateOffer: number | undefined;
  #isScheduled = false;
  #note = '';
  #media: MediaState | undefined;
  #isStored = false;
  #saving: NodeJS.Timeout | undefined;
  #isOver = false;
  #owesBye = false;
  /** The core may have ended the call's connection already. */
  #participantId: string | undefined;

  constructor(call: PhoneCall, options: KeeperOptions) {
    this.#call = call;
    this.#options = options;
  }

  get formats(): MediaFormats {
    if (!this.audio) return {};
    const { codec, encryption } = this.audio;
    return {
      received: { codecs: [this.#codecReceived ?? codec], encryption },
      sent: { codecs: [codec], encryption },
    };
  }

  setByeHeaders(headers: Headers): void {
    this.byeHeaders = headers;
    this.soon();
  }

  /** What is absent stays as it is. */
  learnFormats(audio: PhoneAudio | undefined, codecReceived: string | undefined): void {
    this.audio = audio ?? this.audio;
    this.#codecReceived = codecReceived ?? this.#codecReceived;
    this.soon();
  }

  /** Takes over what an earlier gateway kept. */
  restore({ record, carried, media, isStored }: LeftCall): void {
    this.isUnproven = carried === undefined;
    this.dialogId = record.dialog.id;
    this.#participantId = record.participantId;
    this.connectedAt = record.connectedAt;
    this.answeredAt = record.answeredAt;
    this.held = record.held;
    this.wasHeard = record.wasHeard;
    this.audio = record.audio;
    this.byeHeaders = record.byeHeaders;
    this.#media = media;
    this.#isStored = isStored;
  }

  /** Something changed: it is kept with what else changes in this turn of the event loop. */
  soon(): void {
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    setImmediate(() => this.now());
  }

  /** Something changed that must be kept before anything else happens. */
  now(): void {
    this.#isScheduled = false;
    // A restored call waits for the core before it has its media; then it is kept.
    if (this.#isOver || this.dialogId === undefined || !this.#call.hasMedia) return;
    const record = this.#record();
    // Between two dialogs, when a phone has left that transfers its call, there is nothing to go on with.
    const note = record ? noteOf(record) : '';
    if (note === undefined)
      this.#call.log.warn({}, 'The call is too large to be kept: it ends with this gateway.');
    this.#keep(note ?? '');
  }

  /** The media plane tells what it needs to go on after its process died. */
  mediaState(state: string, host?: string): void {
    if (this.#isOver) return;
    this.#media = { state, stateAt: Date.now(), ...(host !== undefined && { host }) };
    this.#saveSoon();
  }

  /** The call is over next, but for our BYE: if this gateway dies before that is answered, the next one sends it again. */
  owesBye(headers: Headers): void {
    this.#owesBye = true;
    const record = this.#record();
    const note = record && noteOf({ ...record, owedBye: headers });
    if (note === undefined || !this.#options.calls) return;
    this.#options.calls.saveCall(this.#call.info.id, JSON.stringify({ note } satisfies StoredCall));
    this.#isStored = true;
  }

  /** The BYE need not be sent any more. */
  byeOver(): void {
    this.#owesBye = false;
    if (this.#isOver) this.#forget();
  }

  /** The call is over. */
  over(): void {
    this.#isOver = true;
    clearTimeout(this.#saving);
    if (!this.#owesBye) this.#forget();
  }

  #forget(): void {
    if (this.#isStored) this.#options.calls?.deleteCall(this.#call.info.id);
    this.#isStored = false;
  }

  #keep(note: string): void {
    if (note === this.#note) return;
    this.#note = note;
    this.#call.media.keep(note).catch((error: unknown) => {
      if (!this.#isOver) this.#call.log.warn({ err: error }, 'The call could not be kept.');
    });
    this.#saveSoon();
  }

  /** What changes in a moment, as at the beginning of a call, is written once. */
  #saveSoon(): void {
    if (!this.#options.calls || !this.#media) return;
    const ms = this.#isStored ? SAVE_WITHIN_MS : SAVE_FIRST_WITHIN_MS;
    this.#saving ??= setTimeout(() => this.#save(this.#media!), ms);
  }

  #save(media: MediaState): void {
    this.#saving = undefined;
    const { id } = this.#call.info;
    const { calls } = this.#options;
    if (this.#note !== '')
      calls?.saveCall(id, JSON.stringify({ note: this.#note, ...media } satisfies StoredCall));
    else if (this.#isStored) calls?.deleteCall(id);
    this.#isStored = this.#note !== '';
  }

  #record(): CallRecord | undefined {
    const { info, participant, dialog: present, exchange, byes } = this.#call;
    const dialog = this.#dialogRecord();
    this.#participantId = participant?.id ?? this.#participantId;
    if (this.#participantId === undefined || !dialog) return undefined;
    const { port, ...origin } = this.#call.origin;
    const { sipServer, gatewayId: gateway, embedded } = this.#options;
    const freeswitch = this.#freeswitchRecord(dialog);
    const { connectedAt, held, wasHeard, audio, byeHeaders, lateOffer } = this;
    return {
      version: 1,
      sipServer,
      ...(gateway !== undefined && { gateway }),
      dialog,
      participantId: this.#participantId,
      info,
      origin: { ...origin, ...(port !== undefined && { port }) },
      source: present?.res?.source_address ?? present?.req.source_address ?? origin.address,
      connectedAt,
      answeredAt: this.answeredAt || Date.now(),
      held,
      wasHeard,
      awaitsAck: embedded ? dialog.unacknowledged !== undefined : byes.awaitsAck,
      transferring: this.#call.isTransferring,
      exchange:
        exchange?.save() ??
        (lateOffer === undefined ? NO_EXCHANGE : { awaitedCseq: lateOffer, isFirst: true, owesOffer: false }),
      byeHeaders,
      ...(audio && { audio }),
      ...(freeswitch && { freeswitch }),
    };
  }

  #freeswitchRecord({ localSdp }: DialogRecord): FreeswitchRecord | undefined {
    const record = this.#options.freeswitch?.recordOf(this.#call.info.id);
    if (!record) return undefined;
    const { toldSdp, ...rest } = record;
    return toldSdp === localSdp ? rest : record;
  }

  #dialogRecord(): DialogRecord | undefined {
    const { embedded } = this.#options;
    if (embedded) return this.dialogId === undefined ? undefined : embedded.savedDialog(this.dialogId);
    return this.#call.dialog && dialogRecordOf(this.#call.dialog);
  }
}
