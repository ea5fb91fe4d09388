import type {
  AskedConnection,
  ConnectOptions,
  Delivery,
  Device,
  DeviceQuality,
  EndReason,
  OmittedTrack,
  Participant,
  PatchbayError,
  PublishedStream,
  ResumePoint,
  StreamLoudness,
} from '../../core/index.js';
import type { CloseReason, FromLeader, HistoryEvent, Order, StateChange, StatedDevice } from '../messages.js';

/** Where a connection tells what its device does. */
interface Teller {
  /** @returns the number of the event */
  happened(event: HistoryEvent): number;
  changed(deviceId: string, change: StateChange): void;
  /** The connection is over. @param reason undefined: it was refused */
  over(connection: EdgeConnection, reason?: CloseReason): void;
}

/** `asked`: the leader has not decided. `over`: refused, closed by the core, or ended by the device. */
type Phase = 'asked' | 'admitted' | 'over';

/** A device's connection to the core, at the edge: keeps all that the leader must be told again after a loss. */
export class EdgeConnection implements AskedConnection {
  readonly device: Device;
  readonly admitted: Promise<void>;
  participant: Participant;
  /** Of its last event in the edge's history. */
  lastNumber = 0;
  readonly #teller: Teller;
  readonly #options: ConnectOptions;
  readonly #connectedAt: number;
  #settle!: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  #phase: Phase = 'asked';
  #order: Order | undefined;
  #wasTakenOver = false;
  #streams: readonly PublishedStream[] = [];
  #held: boolean;
  #signallingLost: boolean;
  #omitted: readonly OmittedTrack[] = [];
  #quality: DeviceQuality | undefined;
  #resumePoint: ResumePoint | undefined;
  /** What the device receives. */
  #delivery: Delivery = [];

  /** @param now epoch milliseconds */
  constructor(
    parts: { device: Device; participant: Participant; options: ConnectOptions; now: number },
    teller: Teller,
  ) {
    const { device, participant, options, now } = parts;
    this.device = device;
    this.participant = participant;
    this.#options = options;
    this.#teller = teller;
    this.#connectedAt = options.carriedSince ?? now;
    this.#held = options.held ?? false;
    this.#signallingLost = options.signallingLost ?? false;
    this.admitted = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Who does not wait for the decision learns it by `Device.close` or by nothing.
    this.admitted.catch(() => undefined);
  }

  /** Asks the leader to connect the device. */
  asks(): void {
    this.#happened({ type: 'connect', device: this.state() });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether another edge has had the device after this connection. */
  get wasTakenOver(): boolean {
    return this.#wasTakenOver;
  }

  /** All that the leader must know. */
  state(): StatedDevice {
    const { info, capabilities, formats } = this.device;
    return {
      info,
      participantId: this.participant.id,
      abilities: {
        sendDtmf: capabilities.sendDtmf !== undefined,
        setByeHeaders: capabilities.setByeHeaders !== undefined,
        hold: capabilities.hold === true,
        hearSpeech: capabilities.hearSpeech !== undefined,
      },
      connectedAt: this.#connectedAt,
      replace: this.#options.replace,
      isCarried: this.#options.carriedSince !== undefined,
      order: this.#order,
      state: {
        formats,
        streams: this.#streams,
        held: this.#held,
        signallingLost: this.#signallingLost,
        omitted: this.#omitted,
        quality: this.#quality,
        resumePoint: this.#resumePoint,
      },
    };
  }

  /** The leader has the device. */
  wasAdmitted(order: Order, participant: Participant): void {
    if (this.#phase !== 'asked') return;
    this.#phase = 'admitted';
    this.#order = order;
    this.participant = participant;
    this.#settle.resolve();
  }

  /** The leader says what the device is to receive. */
  deliver({ delivery, levelling, missing = [] }: Extract<FromLeader, { readonly type: 'deliver' }>): void {
    const known = new Set(delivery.map(({ streamId }) => streamId));
    const kept = this.#delivery.filter(
      ({ streamId, participantId }) => missing.includes(participantId) && !known.has(streamId),
    );
    this.#delivery = [...delivery, ...kept];
    this.device.deliver(this.#delivery, levelling);
  }

  /** The leader does not have the device. */
  wasRefused(error: PatchbayError): void {
    if (this.#phase !== 'asked') return;
    this.#phase = 'over';
    this.#settle.reject(error);
    this.#teller.over(this);
  }

  /** The core has ended the connection, or another edge has the device. */
  wasClosed(reason: CloseReason): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#settle.resolve();
    this.#teller.over(this, reason);
    if (reason !== 'taken-over') {
      this.device.close(reason);
      return;
    }
    this.tookOver();
    if (!this.device.capabilities.takenOver) this.device.close('lost');
  }

  /** Another edge has the device, or had it before this one has ended it. */
  tookOver(): void {
    this.#wasTakenOver = true;
    this.device.capabilities.takenOver?.();
  }

  publish(streams: readonly PublishedStream[]): void {
    if (this.#phase === 'over') return;
    this.#streams = streams;
    this.#changed({ part: 'streams', streams });
  }

  signallingLost(): void {
    if (this.#phase === 'over' || this.#signallingLost) return;
    this.#signallingLost = true;
    this.#happened({ type: 'signalling', deviceId: this.device.info.id, lost: true });
  }

  signallingResumed(): void {
    if (this.#phase === 'over' || !this.#signallingLost) return;
    this.#signallingLost = false;
    this.#happened({ type: 'signalling', deviceId: this.device.info.id, lost: false });
  }

  dtmf(digit: string, durationMs: number): void {
    if (this.#phase === 'over') return;
    this.#happened({ type: 'dtmf', deviceId: this.device.info.id, digit, durationMs });
  }

  speaking(streamId: string, isSpeaking: boolean, levelDb?: number): void {
    if (this.#phase !== 'over') this.#changed({ part: 'speaking', streamId, isSpeaking, levelDb });
  }

  levels(levels: readonly StreamLoudness[]): void {
    if (this.#phase !== 'over') this.#changed({ part: 'levels', levels });
  }

  hold(held: boolean): void {
    if (this.#phase === 'over' || this.#held === held) return;
    this.#held = held;
    this.#happened({ type: 'hold', deviceId: this.device.info.id, held });
  }

  formatsChanged(): void {
    if (this.#phase !== 'over') this.#changed({ part: 'formats', formats: this.device.formats });
  }

  measured(quality: DeviceQuality): void {
    if (this.#phase === 'over') {
      this.#happened({ type: 'measured', deviceId: this.device.info.id, quality });
      return;
    }
    this.#quality = quality;
    this.#changed({ part: 'quality', quality });
  }

  omit(omitted: readonly OmittedTrack[]): void {
    if (this.#phase === 'over') return;
    this.#omitted = omitted;
    this.#changed({ part: 'omitted', omitted });
  }

  saveResumePoint(resumePoint: ResumePoint): void {
    if (this.#phase === 'over') return;
    this.#resumePoint = resumePoint;
    this.#changed({ part: 'resumePoint', resumePoint });
  }

  end(reason: EndReason): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#settle.resolve();
    this.#happened({ type: 'end', deviceId: this.device.info.id, reason });
    this.#teller.over(this, reason);
  }

  #happened(event: HistoryEvent): void {
    this.lastNumber = this.#teller.happened(event);
  }

  #changed(change: StateChange): void {
    this.#teller.changed(this.device.info.id, change);
  }
}
