import type { CarriedDevice, MediaListener } from '../door.js';
import {
  type AnySpec,
  type MediaDelivery,
  MediaError,
  type MediaKind,
  type MediaStreamInfo,
  type PhoneDescription,
  type PhoneSource,
} from '../types.js';
import type { HostLink } from './link.js';
import type {
  ArgumentsOf,
  CarriedState,
  DeviceEvent,
  OpenResult,
  RequestName,
  ResultOf,
} from './messages.js';
import { specElsewhere, specOfCarried } from './remote-specs.js';

/** What the plane wants to know about its devices. */
interface DeviceOwner {
  /** The streams that the device publishes or receives, or its host, have changed. */
  changed(device: RemoteDevice): void;
  closed(device: RemoteDevice): void;
  /** The device could not be opened on another host: `mediaLost` follows. */
  notMoved(device: RemoteDevice, error: unknown): void;
}

type Listener = MediaListener<DeviceEvent>;

/** How many hosts may die one after the other before a device is given up. */
const MAX_MOVES = 3;

/** A device on a media host, as the gateway has it. It moves to another host when its own dies. */
export class RemoteDevice {
  readonly spec: AnySpec;
  readonly openedAt: number;
  readonly #owner: DeviceOwner;
  #link: HostLink;
  #listener: Listener | undefined;
  /** Events that came before it was adopted. */
  #early: DeviceEvent[] = [];
  #streams: readonly MediaStreamInfo[] = [];
  #delivery: readonly MediaDelivery[] | undefined;
  #note: string | undefined;
  #state: { readonly text: string; readonly at: number } | undefined;
  #offered: { readonly revision: number; readonly layout: readonly MediaKind[] } | undefined;
  #source: PhoneSource | undefined;
  #isOpen = false;
  #isClosed = false;
  /** While it is being opened on another host; requests wait. */
  #moving: Promise<void> | undefined;
  /** Deliveries are kept until {@link deliverNow}, since those made while devices are adopted lack streams. */
  #holdsDelivery = false;
  #isWatched = false;

  constructor(spec: AnySpec, link: HostLink, owner: DeviceOwner, openedAt = Date.now()) {
    this.spec = spec;
    this.#link = link;
    this.#owner = owner;
    this.openedAt = openedAt;
    if (spec.kind === 'phone') this.#source = spec.source;
  }

  /** A device that a host carried when the gateway came. */
  static carried(state: CarriedState, link: HostLink, owner: DeviceOwner): RemoteDevice {
    const { streams, openedAt } = state;
    const device = new RemoteDevice(specOfCarried(state), link, owner, openedAt);
    device.#isOpen = true;
    device.#holdsDelivery = true;
    device.#note = state.note;
    device.#streams = streams;
    if (state.state !== undefined) device.#state = { text: state.state, at: state.stateAt ?? openedAt };
    if (state.revision !== undefined)
      device.#offered = { revision: state.revision, layout: state.layout ?? [] };
    return device;
  }

  get deviceId(): string {
    return this.spec.deviceId;
  }

  get link(): HostLink {
    return this.#link;
  }

  get isAdopted(): boolean {
    return this.#listener !== undefined;
  }

  /** The link to its host, if messages that get no answer may be sent. */
  get openLink(): HostLink | undefined {
    return this.#moving || this.#isClosed ? undefined : this.#link;
  }

  /** As an earlier gateway left it; absent for files, which none leaves. */
  asCarried(): CarriedDevice | undefined {
    const { kind, deviceId, sessionId } = this.spec;
    if (kind === 'file') return undefined;
    return {
      kind,
      deviceId,
      ...(sessionId !== undefined && { sessionId }),
      note: this.#note ?? '',
      streams: this.#streams,
      ...(this.#state && { state: this.#state.text, stateAt: this.#state.at, host: this.#link.id }),
    };
  }

  get streams(): readonly MediaStreamInfo[] {
    return this.#streams;
  }

  get delivery(): readonly MediaDelivery[] {
    return this.#delivery ?? [];
  }

  /** Opens it. @throws MediaError by rejection: what its host reports */
  open(listener: Listener): Promise<OpenResult> {
    this.#listener = listener;
    const opened = this.#open();
    opened.catch(() => undefined);
    return opened;
  }

  /** Goes on with a device that an earlier gateway opened. @returns what it was told when it was open, as far as it is known */
  adopt(listener: Listener): Promise<OpenResult> {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    // The caller gets its handle first.
    setImmediate(() => early.forEach((event) => listener(event)));
    const [stream] = this.#streams;
    const described = stream ? { stream } : {};
    return Promise.resolve(
      this.spec.kind === 'phone' ? { description: { sdp: '', held: false, ...described } } : described,
    );
  }

  /** The deliveries of all adopted devices are known. */
  deliverNow(): void {
    this.#holdsDelivery = false;
    if (this.#delivery) void this.setDelivery(this.#delivery);
  }

  /** Keeps a note with it. */
  keep(note: string): void {
    this.#note = note;
    this.openLink?.keep(this.deviceId, note);
  }

  /** Whether the levels of its streams are wanted. */
  watchLevels(isWatched: boolean): void {
    if (isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    this.openLink?.watchLevels(this.deviceId, isWatched);
  }

  /** Where the phone's last message came from. */
  signalled(source: PhoneSource): void {
    this.#source = source;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#moving;
      if (!this.#link.isLost) await this.#link.request('close', { deviceId: this.deviceId });
    } catch (error) {
      // Everything on a dead host is closed already.
      if (!this.#link.isLost) throw error;
    } finally {
      this.#streams = [];
      this.#owner.closed(this);
    }
  }

  /** Something came from its host. */
  take(event: DeviceEvent): void {
    switch (event.type) {
      case 'streams':
        this.publish(event.streams);
        break;
      case 'state':
        this.#state = { text: event.state, at: Date.now() };
        break;
      case 'subscribeOffer':
        this.#offered = { revision: event.offer.revision, layout: event.offer.layout };
        break;
      case 'dtmf':
      case 'mediaLost':
      case 'heard':
      case 'silent':
      case 'speaking':
      case 'levels':
      case 'statistics':
      case 'tracksOmitted':
      case 'renegotiate':
      case 'audio':
      case 'digit':
      case 'played':
      case 'overflow':
      case 'interrupted':
      case 'started':
      case 'ended':
    }
    const told = event.type === 'state' ? { ...event, host: this.#link.id } : event;
    if (this.#listener) this.#listener(told);
    else this.#early.push(told);
  }

  /**
   * Its host died: goes on on another one, if it can. A phone keeps port, codec and keys; a browser gets a new offer
   * on the same m-lines, and has to publish again. Otherwise `mediaLost` ends it.
   * @param choose finds a host; rejects when there is none
   */
  move(choose: () => Promise<HostLink>): void {
    // While it is being opened, the one who opens it gets the error.
    if (this.#isClosed || !this.#isOpen || this.#moving) return;
    this.#moving = this.#moveTo(choose).finally(() => {
      this.#moving = undefined;
    });
  }

  async setDelivery(delivery: readonly MediaDelivery[]): Promise<void> {
    if (this.#isClosed) return;
    this.#delivery = delivery;
    if (this.#holdsDelivery || this.#moving) return;
    this.#owner.changed(this);
    await this.repeatable('setDelivery', { delivery });
  }

  async #open(): Promise<OpenResult> {
    try {
      const result = await this.#link.request('open', { spec: this.spec });
      this.#isOpen = true;
      return this.#opened(result);
    } catch (error) {
      this.#isClosed = true;
      this.#owner.closed(this);
      throw error;
    }
  }

  #opened(result: OpenResult): OpenResult {
    const stream = result.description?.stream ?? result.stream;
    if (stream) this.publish([stream]);
    return result;
  }

  /** A phone's description may tell its stream. */
  described(description: PhoneDescription): PhoneDescription {
    if (description.stream) this.publish([description.stream]);
    return description;
  }

  /** The device publishes exactly these streams. */
  publish(streams: readonly MediaStreamInfo[]): void {
    this.#streams = streams;
    this.#owner.changed(this);
  }

  /** @throws MediaError by rejection: what the host reports, UNKNOWN_DEVICE once it is closed */
  async request<N extends RequestName>(
    name: N,
    args: Omit<ArgumentsOf<N>, 'deviceId'>,
  ): Promise<ResultOf<N>> {
    if (this.#moving) await this.#moving;
    if (this.#isClosed) throw new MediaError('UNKNOWN_DEVICE', `No device ${this.deviceId} is open.`);
    return this.#link.request(name, { ...args, deviceId: this.deviceId });
  }

  /** A request that is made again on the next host: it does not matter if this one dies before it answers. */
  async repeatable<N extends RequestName>(name: N, args: Omit<ArgumentsOf<N>, 'deviceId'>): Promise<void> {
    const link = this.#link;
    try {
      await this.request(name, args);
    } catch (error) {
      if (!link.isLost) throw error;
    }
  }

  async #moveTo(choose: () => Promise<HostLink>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#link = await choose();
        await this.#openElsewhere(this.#link);
        return;
      } catch (error) {
        // The next host may have died too.
        if (this.#link.isLost && attempt < MAX_MOVES) continue;
        this.#owner.notMoved(this, error);
        this.publish([]);
        this.#listener?.({ type: 'mediaLost', cause: 'transport' });
        return;
      }
    }
  }

  async #openElsewhere(link: HostLink): Promise<void> {
    const { deviceId } = this;
    const spec = specElsewhere(this.spec, {
      stream: this.#streams[0],
      offered: this.#offered,
      state: this.#state,
      source: this.#source,
    });
    const result = await link.request('open', { spec });
    if (spec.kind === 'browser') {
      this.publish([]);
      this.#listener?.({ type: 'streams', streams: [] });
    } else this.#opened(result);
    if (spec.kind === 'program') this.#listener?.({ type: 'interrupted' });
    if (this.#isWatched) link.watchLevels(deviceId, true);
    // Both may change while they are being passed on.
    let [note, delivery]: [string | undefined, readonly MediaDelivery[] | undefined] = [undefined, undefined];
    while (note !== this.#note || delivery !== this.#delivery) {
      [note, delivery] = [this.#note, this.#delivery];
      this.#owner.changed(this);
      if (note !== undefined) link.keep(deviceId, note);
      if (delivery) await link.request('setDelivery', { deviceId, delivery });
    }
    this.#owner.changed(this);
  }
}
