import { stdSerializers } from 'pino';
import { type Log, withFields } from '../shared/index.js';
import type { BrowserEndpoint } from './browser/index.js';
import type { LocalCrossings } from './crossing/index.js';
import type { EndpointContext, LiveStream } from './endpoint.js';
import type { FileEndpoint } from './files/index.js';
import { LiveStreams, type RemoteStreams } from './live-streams.js';
import { OpenDevice } from './open-device.js';
import { type PhoneBefore, type PhoneEndpoint, readPhoneState } from './phone/index.js';
import type { ProgramEndpoint } from './program/index.js';
import type { PublishedTrack } from './track.js';
import {
  type AnyHandle,
  type AnyMediaListener,
  type BrowserHandle,
  type BrowserMediaEvent,
  type DeviceHandle,
  type FileHandle,
  type FileMediaEvent,
  MAX_NOTE_BYTES,
  type MediaCounters,
  type MediaHosts,
  type MediaListener,
  type MediaLoad,
  type MixLoad,
  type MediaPlane,
  type MediaPlaneEvent,
  type PhoneHandle,
  type PhoneMediaEvent,
  type ProgramHandle,
  type ProgramMediaEvent,
} from './door.js';
import {
  type AnySpec,
  type BrowserSpec,
  type FileSpec,
  LEVELS_INTERVAL_MS,
  type MediaDelivery,
  MediaError,
  type MediaPlaneOptions,
  type MediaStreamInfo,
  type PhoneDescription,
  type PhoneSpec,
  type ProgramSpec,
  STATISTICS_INTERVAL_MS,
} from './types.js';

/** Makes the plane's endpoints. They share transports that live as long as the plane. */
interface EndpointFactory {
  browser(context: EndpointContext<BrowserMediaEvent>, spec: BrowserSpec): Promise<BrowserEndpoint>;
  phone(context: EndpointContext<PhoneMediaEvent>, before?: PhoneBefore): Promise<PhoneEndpoint>;
  sendToPhonesFor(ms: number): void;
  program(context: EndpointContext<ProgramMediaEvent>, spec: ProgramSpec): Promise<ProgramEndpoint>;
  file(context: EndpointContext<FileMediaEvent>, spec: FileSpec): Promise<FileEndpoint>;
  load(): MixLoad;
  counters(): MediaCounters;
  stop(): Promise<void>;
  /** Absent in a media host: there the gateway's plane has it. */
  crossings?(streams: RemoteStreams): LocalCrossings | undefined;
}

/** The media plane in this process: the devices that are open, the streams between them, and deliveries. */
export class LocalMediaPlane implements MediaPlane {
  readonly #parts: { readonly options: MediaPlaneOptions; readonly log: Log };
  readonly #factory: EndpointFactory;
  readonly #devices = new Map<string, OpenDevice>();
  /** All streams that are live. */
  readonly #streams = new LiveStreams((changed) => {
    for (const device of this.#devices.values()) device.refreshIfReceiving(changed);
  });
  readonly crossings: LocalCrossings | undefined;
  #statistics: NodeJS.Timeout | undefined;
  /** Those whose levels are wanted. */
  readonly #watched = new Set<OpenDevice>();
  #levels: NodeJS.Timeout | undefined;

  constructor(options: MediaPlaneOptions, log: Log, factory: EndpointFactory) {
    this.#parts = { options, log };
    this.#factory = factory;
    this.crossings = factory.crossings?.(this.#streams);
  }

  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  open(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle;
  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle {
    switch (spec.kind) {
      case 'browser':
        return this.#openBrowser(spec, listener);
      case 'phone':
        return this.#openPhone(spec, listener);
      case 'program':
        return this.#openProgram(spec, listener);
      case 'file':
        return this.#openFile(spec, listener);
    }
  }

  /** Streams of other hosts, for the devices of this one. */
  get remoteStreams(): RemoteStreams {
    return this.#streams;
  }

  /** Devices of this process end with it. */
  carried(): [] {
    return [];
  }

  adoptBrowser(): undefined {
    return undefined;
  }

  adoptPhone(): undefined {
    return undefined;
  }

  adoptProgram(): undefined {
    return undefined;
  }

  releaseCarried(): Promise<void> {
    return Promise.resolve();
  }

  sendToPhonesFor(ms: number): void {
    this.#factory.sendToPhonesFor(ms);
  }

  load(): MediaLoad {
    return { ...this.#factory.load(), busy: 0, delayMs: 0 };
  }

  hosts(): MediaHosts {
    return { present: 0, ids: [], lost: 0 };
  }

  hostLoads(): [] {
    return [];
  }

  counters(): MediaCounters {
    return this.#factory.counters();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
    await this.crossings?.stop();
    await this.#factory.stop();
  }

  #openBrowser(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle {
    const device = new OpenDevice<BrowserEndpoint>(spec.deviceId, this.#forDevices, listener);
    const context = device.context(this.#partsFor(spec), listener);
    return {
      opened: device.open(
        () => this.#factory.browser(context, spec),
        () => Promise.resolve(),
      ),
      publish: (options) =>
        device.negotiate(async (browser) => {
          const answer = await browser.publish(options);
          return { ...answer, streams: device.streams };
        }),
      answerSubscribe: (sdpAnswer) => device.request((browser) => browser.answerSubscribe(sdpAnswer)),
      resume: () => device.request((browser) => browser.resume()),
      ...handleOf(device),
    };
  }

  #openPhone(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle {
    const device = new OpenDevice<PhoneEndpoint>(spec.deviceId, this.#forDevices, listener);
    const context = device.context(this.#partsFor(spec), listener);
    return {
      opened: spec.restored
        ? this.#restore(device, context, spec.restored)
        : device.open(() => this.#factory.phone(context), describing(spec)),
      answer: (sdpAnswer) => device.negotiate((phone) => phone.answer(sdpAnswer)),
      update: (sdpOffer) => device.negotiate((phone) => phone.describe(sdpOffer)),
      confirm: (source) => {
        device.tell((phone) => phone.signalled(source, true));
        return Promise.resolve();
      },
      sendDtmf: (dtmf) => device.request((phone) => phone.sendDtmf(dtmf)),
      ...handleOf(device),
    };
  }

  #openProgram(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle {
    const device = new OpenDevice<ProgramEndpoint>(spec.deviceId, this.#forDevices, listener);
    const context = device.context(this.#partsFor(spec), listener);
    return {
      opened: device.open(
        () => this.#factory.program(context, spec),
        () => Promise.resolve(firstStream(device)),
      ),
      play: (pcm) => device.soon((program) => program.play(pcm)),
      mark: (mark) => device.soon((program) => program.mark(mark)),
      clear: () => device.soon((program) => program.clear()),
      sendDtmf: (dtmf) => device.request((program) => program.sendDtmf(dtmf)),
      ...handleOf(device),
    };
  }

  #openFile(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle {
    const device = new OpenDevice<FileEndpoint>(spec.deviceId, this.#forDevices, listener);
    const context = device.context(this.#partsFor(spec), listener);
    return {
      opened: device.open(
        () => this.#factory.file(context, spec),
        () => Promise.resolve(firstStream(device)),
      ),
      ...handleOf(device),
    };
  }

  #restore(
    device: OpenDevice<PhoneEndpoint>,
    context: EndpointContext<PhoneMediaEvent>,
    { state, ageMs, isElsewhere = false }: NonNullable<PhoneSpec['restored']>,
  ): Promise<PhoneDescription> {
    const age = Math.max(0, ageMs);
    return device.open(
      () => this.#factory.phone(context, { state: readPhoneState(state), ageMs: age, isElsewhere }),
      (phone) => phone.resume(),
    );
  }

  #partsFor({ deviceId, labels, metersSpeech = false }: AnySpec) {
    const { options, log } = this.#parts;
    const fields = { connectionId: deviceId, ...labels };
    return { options, log: withFields(log, () => fields), metersSpeech };
  }

  readonly #forDevices = {
    add: (device: OpenDevice): void => {
      const { deviceId } = device;
      if (this.#devices.has(deviceId))
        throw new MediaError('INVALID_STATE', `Device ${deviceId} is already open.`);
      this.#devices.set(deviceId, device);
      this.crossings?.place(deviceId, []);
      this.#statistics ??= setInterval(() => this.#pushStatistics(), STATISTICS_INTERVAL_MS).unref();
    },
    remove: ({ deviceId }: OpenDevice): void => {
      this.#devices.delete(deviceId);
      this.crossings?.remove(deviceId);
      if (this.#devices.size > 0) return;
      clearInterval(this.#statistics);
      this.#statistics = undefined;
    },
    watch: (device: OpenDevice, isWatched: boolean): void => {
      if (isWatched) this.#watched.add(device);
      else this.#watched.delete(device);
      if (this.#watched.size > 0)
        this.#levels ??= setInterval(() => this.#pushLevels(), LEVELS_INTERVAL_MS).unref();
      else {
        clearInterval(this.#levels);
        this.#levels = undefined;
      }
    },
    evensLevels: (): boolean => this.#parts.options.levelling ?? true,
    resolve: (delivery: readonly MediaDelivery[]): PublishedTrack[] =>
      delivery.flatMap(({ streamId, kinds, noiseSuppression = false, announcement = false }) => {
        const tracks = (this.#streams.get(streamId)?.tracks ?? []).filter(
          (track) => !track.ended && kinds.includes(track.kind),
        );
        for (const track of tracks) {
          track.suppressesNoise = noiseSuppression;
          track.isAnnouncement = announcement;
        }
        return tracks;
      }),
    streamsChanged: (
      { deviceId }: OpenDevice,
      before: readonly LiveStream[],
      now: readonly LiveStream[],
    ): void => {
      this.#streams.replaceLocal(before, now);
      if (this.#devices.has(deviceId))
        this.crossings?.place(
          deviceId,
          now.map(({ streamId }) => streamId),
        );
    },
  };

  #pushLevels(): void {
    for (const device of this.#watched) device.pushLevels();
  }

  #pushStatistics(): void {
    for (const device of this.#devices.values()) device.pushStatistics();
  }
}

/** The one stream that programs and files publish. */
function firstStream(device: OpenDevice): MediaStreamInfo {
  const [stream] = device.streams;
  if (!stream) throw new MediaError('INVALID_STATE', `Device ${device.deviceId} publishes nothing.`);
  return stream;
}

/**
 * The first request to a phone. It is a function of its own so that the handle does not keep the phone's
 * offer in memory.
 */
function describing({ source, sdpOffer }: PhoneSpec): (phone: PhoneEndpoint) => Promise<PhoneDescription> {
  return (phone) => {
    if (source) phone.signalled(source, false);
    return phone.describe(sdpOffer);
  };
}

/** What devices of all kinds can do. */
function handleOf(device: OpenDevice): DeviceHandle {
  return {
    setDelivery: (delivery) => {
      device.setDelivery(delivery);
      return Promise.resolve();
    },
    // Nothing outlives this process.
    keep: (note) => device.request(() => requireShortNote(note)),
    watchLevels: (isWatched) => device.watchLevels(isWatched),
    close: () => device.close(),
  };
}

/** @throws MediaError NOTE_TOO_LONG */
export function requireShortNote(note: string): void {
  if (Buffer.byteLength(note) > MAX_NOTE_BYTES)
    throw new MediaError('NOTE_TOO_LONG', `A device keeps at most ${MAX_NOTE_BYTES} bytes of text.`);
}

/** A log whose lines become events of the plane. */
export function logByEvents(listener: MediaListener<MediaPlaneEvent>): Log {
  const line =
    (level: MediaPlaneEvent['level']) =>
    (fields: object, message: string): void =>
      listener({ type: 'log', level, fields: plainFields(fields), message });
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

function plainFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      // Copied, to leave out the symbol by which pino attaches the error itself.
      value instanceof Error ? Object.fromEntries(Object.entries(stdSerializers.err(value))) : value,
    ]),
  );
}
