import { NO_COUNTERS } from '../counters.js';
import type {
  AnyHandle,
  AnyMediaListener,
  BrowserHandle,
  BrowserMediaEvent,
  CarriedDevice,
  DeviceHandle,
  FileHandle,
  FileMediaEvent,
  MediaCounters,
  MediaHosts,
  MediaListener,
  MediaLoad,
  MediaPlane,
  PhoneHandle,
  PhoneMediaEvent,
  ProgramHandle,
  ProgramMediaEvent,
} from '../door.js';
import {
  type AnySpec,
  type BrowserSpec,
  type FileSpec,
  type MediaDelivery,
  type MediaDtmf,
  MediaError,
  type MediaStreamInfo,
  type PhoneAudio,
  type PhoneDescription,
  type PhoneSource,
  type PhoneSpec,
  type ProgramSpec,
  type PublishAnswer,
  type PublishOfferOptions,
  type RefusedTrack,
} from '../types.js';

type AnyEvent = BrowserMediaEvent | PhoneMediaEvent | ProgramMediaEvent | FileMediaEvent;

/** A media plane that writes down what it is told, and says what the test makes it say. */
export class FakeMediaPlane implements MediaPlane {
  readonly specs: AnySpec[] = [];
  isStopped = false;
  /** For how long phones may be sent something, as it was told last. */
  sendingMs: number | undefined;
  readonly browsers = new FakeBrowsers();
  readonly phones = new FakePhones();
  readonly programs = new FakePrograms();
  /** Set: files are refused with this. */
  fileFailure: MediaError | undefined;
  /** Devices whose levels are wanted. */
  readonly watched = new Set<string>();
  /** Of devices that were closed. */
  readonly closed: string[] = [];
  /** Answers to offers of the plane, of phones and browsers. */
  readonly answers: string[] = [];
  readonly #present = new Map<string, MediaListener<AnyEvent>>();
  readonly #carried = new Map<string, CarriedDevice>();
  /** The texts kept with each device, in their order. */
  readonly notes: [deviceId: string, note: string][] = [];
  readonly #deliveries: [deviceId: string, delivery: readonly MediaDelivery[]][] = [];

  /** A gateway before left this device. */
  carry(device: CarriedDevice): void {
    this.#carried.set(device.deviceId, device);
  }

  /** Ids of the devices that are open. */
  get present(): string[] {
    return [...this.#present.keys()];
  }

  /** All deliveries, or those of one device, in their order. */
  deliveries(deviceId?: string): (readonly MediaDelivery[])[] {
    return this.#deliveries.filter(([id]) => id === (deviceId ?? id)).map(([, delivery]) => delivery);
  }

  /** Says something about a device. */
  emit(deviceId: string, event: AnyEvent): void {
    this.#present.get(deviceId)?.(event);
  }

  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  open(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle;
  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle {
    this.specs.push(spec);
    switch (spec.kind) {
      case 'browser':
        return this.#browser(spec, listener);
      case 'phone':
        return this.#phone(spec, listener);
      case 'program':
        return this.#program(spec, listener);
      case 'file':
        return this.#file(spec, listener);
    }
  }

  sendToPhonesFor(ms: number): void {
    this.sendingMs = ms;
  }

  carried(): readonly CarriedDevice[] {
    return [...this.#carried.values()];
  }

  adoptBrowser(deviceId: string, listener: MediaListener<BrowserMediaEvent>): BrowserHandle | undefined {
    return this.#carried.delete(deviceId)
      ? this.#browser({ kind: 'browser', deviceId }, listener)
      : undefined;
  }

  adoptPhone(deviceId: string, listener: MediaListener<PhoneMediaEvent>): PhoneHandle | undefined {
    return this.#carried.delete(deviceId) ? this.#phone({ kind: 'phone', deviceId }, listener) : undefined;
  }

  adoptProgram(deviceId: string, listener: MediaListener<ProgramMediaEvent>): ProgramHandle | undefined {
    return this.#carried.delete(deviceId) ? this.#program({ deviceId }, listener) : undefined;
  }

  releaseCarried(): Promise<void> {
    this.closed.push(...this.#carried.keys());
    this.#carried.clear();
    return Promise.resolve();
  }

  load(): MediaLoad {
    return { mixLatenessMs: 0, framesSkipped: 0, mixBusyMs: 0, busy: 0, delayMs: 0 };
  }

  hosts(): MediaHosts {
    return { present: 0, ids: [], lost: 0 };
  }

  hostLoads(): [] {
    return [];
  }

  counters(): MediaCounters {
    return NO_COUNTERS;
  }

  stop(): Promise<void> {
    this.isStopped = true;
    return Promise.resolve();
  }

  #browser({ deviceId }: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle {
    const { browsers } = this;
    this.#present.set(deviceId, listener as MediaListener<AnyEvent>);
    return {
      opened: Promise.resolve(),
      publish: (options) => browsers.publish(options),
      answerSubscribe: (sdpAnswer) => {
        this.answers.push(sdpAnswer);
        return Promise.resolve();
      },
      resume: () => {
        browsers.resumed.push(deviceId);
        return Promise.resolve();
      },
      ...this.#handle(deviceId),
    };
  }

  #phone({ deviceId, sdpOffer }: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle {
    const { phones } = this;
    const handle = this.#handle(deviceId);
    let isClosed = false;
    const open = async (): Promise<PhoneDescription> => {
      const description = await phones.update(deviceId, sdpOffer);
      if (isClosed) throw new MediaError('INVALID_STATE', 'It was closed while it opened.');
      this.#present.set(deviceId, listener as MediaListener<AnyEvent>);
      return description;
    };
    const opened = open();
    opened.catch(() => undefined);
    return {
      opened,
      answer: async (sdpAnswer) => {
        const description = await phones.answer(deviceId, sdpAnswer);
        this.answers.push(sdpAnswer);
        return description;
      },
      update: (offer) => phones.update(deviceId, offer),
      confirm: (source) => {
        phones.confirmed.push(source);
        return Promise.resolve();
      },
      sendDtmf: (dtmf) => {
        if (phones.failure) return Promise.reject(phones.failure);
        phones.dtmf.push([deviceId, dtmf]);
        return Promise.resolve();
      },
      ...handle,
      close: () => {
        isClosed = true;
        return handle.close();
      },
    };
  }

  #program(
    { deviceId }: Pick<ProgramSpec, 'deviceId'>,
    listener: MediaListener<ProgramMediaEvent>,
  ): ProgramHandle {
    const { programs } = this;
    this.#present.set(deviceId, listener as MediaListener<AnyEvent>);
    const opened = programs.open(deviceId);
    opened.catch(() => undefined);
    return {
      opened,
      play: (pcm) => void programs.told.push([deviceId, pcm]),
      mark: (mark) => void programs.told.push([deviceId, `mark ${mark}`]),
      clear: () => void programs.told.push([deviceId, 'clear']),
      sendDtmf: (dtmf) => {
        if (programs.failure) return Promise.reject(programs.failure);
        programs.dtmf.push([deviceId, dtmf]);
        return Promise.resolve();
      },
      ...this.#handle(deviceId),
    };
  }

  #file({ deviceId }: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle {
    if (!this.fileFailure) this.#present.set(deviceId, listener as MediaListener<AnyEvent>);
    const opened = this.fileFailure
      ? Promise.reject(this.fileFailure)
      : Promise.resolve({ streamId: `stream-${deviceId}`, kinds: ['audio'] as const, codecs: ['opus'] });
    opened.catch(() => undefined);
    return { opened, ...this.#handle(deviceId) };
  }

  #handle(deviceId: string): DeviceHandle {
    return {
      setDelivery: (delivery) => {
        this.#deliveries.push([deviceId, delivery]);
        return Promise.resolve();
      },
      keep: (note) => {
        this.notes.push([deviceId, note]);
        return Promise.resolve();
      },
      watchLevels: (isWatched) => {
        if (isWatched) this.watched.add(deviceId);
        else this.watched.delete(deviceId);
      },
      close: () => {
        this.closed.push(deviceId);
        this.#present.delete(deviceId);
        return Promise.resolve();
      },
    };
  }
}

class FakeBrowsers {
  readonly offers: PublishOfferOptions[] = [];
  readonly resumed: string[] = [];
  /** What the next offers publish. */
  streams: readonly MediaStreamInfo[] = [];
  /** What the next offers have and is not taken. */
  refused: readonly RefusedTrack[] = [];
  /** Set: offers are refused with this. */
  refusal: MediaError | undefined;
  /** Offers are answered when this is. */
  held: Promise<void> = Promise.resolve();

  async publish(options: PublishOfferOptions): Promise<PublishAnswer> {
    this.offers.push(options);
    if (this.refusal) throw this.refusal;
    await this.held;
    return { sdpAnswer: `answer to ${options.sdpOffer}`, streams: this.streams, refused: this.refused };
  }
}

/** Every phone's offer is answered. */
class FakePhones {
  readonly offers: (string | undefined)[] = [];
  readonly confirmed: PhoneSource[] = [];
  readonly dtmf: [deviceId: string, dtmf: MediaDtmf][] = [];
  failure: Error | undefined;
  /** Set: every description of ours. */
  sdp: string | undefined;
  held = false;
  /** Set: every description has it. */
  audio: PhoneAudio | undefined;
  /** What phones send. */
  codec = 'PCMU';
  /** Set: opening, answering and updating wait for it. */
  gate: Promise<void> | undefined;

  async update(deviceId: string, sdpOffer?: string): Promise<PhoneDescription> {
    await this.gate;
    if (this.failure) throw this.failure;
    this.offers.push(sdpOffer);
    return {
      sdp: this.sdp ?? `${sdpOffer === undefined ? 'offer' : 'answer'}-${this.offers.length}`,
      held: this.held,
      ...(sdpOffer !== undefined && { stream: this.stream(deviceId) }),
      ...(this.audio && { audio: this.audio }),
    };
  }

  stream(deviceId: string): MediaStreamInfo {
    return { streamId: `stream-${deviceId}`, kinds: ['audio'], codecs: [this.codec] };
  }

  answer(deviceId: string, sdpAnswer: string): Promise<PhoneDescription> {
    return this.update(deviceId, sdpAnswer);
  }
}

/** Programs are open at once; marks are answered when the test says so. */
class FakePrograms {
  /** What was played, `mark` with its name, and `clear`, in their order. */
  readonly told: [deviceId: string, what: Buffer | string][] = [];
  readonly dtmf: [deviceId: string, dtmf: MediaDtmf][] = [];
  /** Set: opening and sending digits fail with it. */
  failure: Error | undefined;
  /** Set: opening waits for it. */
  gate: Promise<void> | undefined;

  async open(deviceId: string): Promise<MediaStreamInfo> {
    await this.gate;
    if (this.failure) throw this.failure;
    return { streamId: `stream-${deviceId}`, kinds: ['audio'], codecs: ['opus'] };
  }
}
