import type {
  Connection,
  Core,
  Delivery,
  Device,
  DeviceCapabilities,
  DeviceInfo,
  EndReason,
  MediaFormats,
} from '../../core/index.js';
import type { AdmittedAt } from './orders.js';
import type { CommandName, Commands, FromLeader, Order, StateChange, StatedDevice } from '../messages.js';

/** The way to the edge that has a device. */
export interface EdgeLine {
  tell(message: FromLeader): void;
  /** @throws PatchbayError by rejection: what the edge answers, or NO_LEADER when it cannot be reached */
  command<K extends CommandName>(command: K, asked: Commands[K]['asked']): Promise<Commands[K]['answer']>;
  /** The core delivers something else to the device. */
  delivered(device: EdgeDevice, delivery: Delivery): void;
  /** The core has closed the device. */
  closed(device: EdgeDevice, reason: EndReason): void;
}

interface Hearing {
  readonly isHeldBack: boolean;
  /** Whom a participant hears whose device of the leader before may still come. */
  readonly missingFor: (participantId: string) => readonly string[];
}

/** A device of an edge, as the core sees it: remembers what the core wants of it, for an edge that is away. */
export class EdgeDevice implements Device {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  formats: MediaFormats;
  order: Order | undefined;
  readonly #connectedAt: number;
  /** {@link order} is not that of its admission, which nobody knows any more. */
  #wasReordered = false;
  #line: EdgeLine;
  #connection: Connection | undefined;
  #delivery: { readonly delivery: Delivery; readonly levelling: boolean | undefined } | undefined;
  #isWatched = false;
  #byeHeaders: Readonly<Record<string, string>> | undefined;
  /** What the core wants is not told yet: other edges may not have stated what they have. */
  #isHeldBack: boolean;
  readonly #missingFor: Hearing['missingFor'];
  /** Whose streams stay at the device though they are not in its delivery, as was told last. */
  #missing: readonly string[] = [];

  constructor(stated: StatedDevice, line: EdgeLine, { isHeldBack, missingFor }: Hearing) {
    this.info = stated.info;
    this.formats = stated.state.formats;
    this.order = stated.order;
    this.#connectedAt = stated.connectedAt;
    this.#line = line;
    this.#isHeldBack = isHeldBack;
    this.#missingFor = missingFor;
    const { sendDtmf, setByeHeaders, hold, hearSpeech } = stated.abilities;
    this.capabilities = {
      ...(sendDtmf && {
        sendDtmf: async (dtmf) => {
          await this.#line.command('sendDtmf', { deviceId: this.info.id, dtmf });
        },
      }),
      ...(setByeHeaders && { setByeHeaders: (headers) => this.#setByeHeaders(headers) }),
      ...(hold && { hold: true }),
      ...(hearSpeech && {
        hearSpeech: (streamId, speech) =>
          this.#line.tell({ type: 'speech', deviceId: this.info.id, streamId, speech }),
      }),
    };
  }

  /** When it was admitted, by this leader or one before. */
  get admittedAt(): AdmittedAt {
    return { order: this.#wasReordered ? undefined : this.order, connectedAt: this.#connectedAt };
  }

  /** Gives it a place in the order of admissions, if it has none. @param isNew no leader has admitted it before */
  admit(order: () => Order, isNew: boolean): void {
    if (this.order) return;
    this.order = order();
    this.#wasReordered = !isNew;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /**
   * Connects it to the core.
   * @throws PatchbayError as `DeviceControl.connect`
   */
  connect(
    core: Pick<Core, 'connect'>,
    { participantId, replace, connectedAt, state }: StatedDevice,
    isCarried: boolean,
  ): void {
    const { held, signallingLost } = state;
    this.#connection = core.connect(participantId, this, {
      replace,
      ...(isCarried && { carriedSince: connectedAt, held, signallingLost }),
    });
  }

  /** Another edge has it from now on, which is told all once it has connected it. */
  moveTo(line: EdgeLine, order: Order): void {
    this.#line = line;
    this.order = order;
    const { delivery } = this.#delivery ?? {};
    if (delivery) line.delivered(this, delivery);
  }

  /** Takes all that an edge has stated but what is history. */
  takeState({ state }: StatedDevice): void {
    this.take({ part: 'formats', formats: state.formats });
    this.take({ part: 'streams', streams: state.streams });
    this.take({ part: 'omitted', omitted: state.omitted });
    if (state.quality) this.take({ part: 'quality', quality: state.quality });
    if (state.resumePoint) this.take({ part: 'resumePoint', resumePoint: state.resumePoint });
  }

  take(change: StateChange): void {
    const connection = this.#connection;
    switch (change.part) {
      case 'streams':
        connection?.publish(change.streams);
        return;
      case 'formats':
        this.formats = change.formats;
        connection?.formatsChanged();
        return;
      case 'omitted':
        connection?.omit(change.omitted);
        return;
      case 'quality':
        connection?.measured(change.quality);
        return;
      case 'resumePoint':
        connection?.saveResumePoint(change.resumePoint);
        return;
      case 'speaking':
        connection?.speaking(change.streamId, change.isSpeaking, change.levelDb);
        return;
      case 'levels':
        connection?.levels(change.levels);
    }
  }

  deliver(delivery: Delivery, levelling?: boolean): void {
    this.#delivery = { delivery, levelling };
    this.#line.delivered(this, delivery);
    if (!this.#isHeldBack) this.#tellDelivery();
  }

  watchLevels(isWatched: boolean): void {
    this.#isWatched = isWatched;
    this.#line.tell({ type: 'watchLevels', deviceId: this.info.id, isWatched });
  }

  close(reason: EndReason): void {
    this.#line.closed(this, reason);
  }

  /** Tells the edge all that the core wants of the device: it may have missed some of it. */
  tellAll(): void {
    const { participant } = this.#connection ?? {};
    const deviceId = this.info.id;
    if (participant) this.#line.tell({ type: 'participant', deviceId, participant });
    this.#line.tell({ type: 'watchLevels', deviceId, isWatched: this.#isWatched });
    if (this.#byeHeaders) this.#line.tell({ type: 'byeHeaders', deviceId, headers: this.#byeHeaders });
    if (!this.#isHeldBack) this.#tellDelivery();
  }

  /** What the core wants is told from now on: all edges have stated what they have, or are not waited for. */
  release(): void {
    if (!this.#isHeldBack) return;
    this.#isHeldBack = false;
    this.#tellDelivery();
  }

  /** Looks again whose streams stay. @param participantId one that has changed; absent: any may have */
  lookForMissing(participantId?: string): void {
    const before = this.#missing;
    if (before.length === 0) return;
    const isConcerned =
      participantId === undefined ||
      before.includes(participantId) ||
      participantId === this.#connection?.participant.id;
    if (isConcerned && before.join() !== this.#whoIsMissing().join()) this.#tellDelivery();
  }

  #tellDelivery(): void {
    const { delivery = [], levelling } = this.#delivery ?? {};
    this.#missing = this.#whoIsMissing();
    const missing = this.#missing.length > 0 ? { missing: this.#missing } : {};
    this.#line.tell({ type: 'deliver', deviceId: this.info.id, delivery, levelling, ...missing });
  }

  #whoIsMissing(): readonly string[] {
    return this.#connection ? this.#missingFor(this.#connection.participant.id) : [];
  }

  #setByeHeaders(headers: Readonly<Record<string, string>>): void {
    this.#byeHeaders = headers;
    this.#line.tell({ type: 'byeHeaders', deviceId: this.info.id, headers });
  }
}
