import type { BrowserHandle, MediaListener, PhoneHandle } from '../door.js';
import { requireShortNote } from '../plane.js';
import {
  type BrowserSpec,
  lastingSpec,
  type MediaDelivery,
  MediaError,
  type MediaKind,
  type MediaStreamInfo,
  type PhoneDescription,
  type PhoneSource,
  type PhoneSpec,
} from '../types.js';
import type { HostLink } from './link.js';
import type { ArgumentsOf, CarriedState, DeviceEvent, RequestName, ResultOf } from './messages.js';

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
  readonly spec: BrowserSpec | PhoneSpec;
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

  constructor(spec: BrowserSpec | PhoneSpec, link: HostLink, owner: DeviceOwner, openedAt = Date.now()) {
    this.spec = spec;
    this.#link = link;
    this.#owner = owner;
    this.openedAt = openedAt;
    if (spec.kind === 'phone') this.#source = spec.source;
  }

  /** A device that a host carried when the gateway came. */
  static carried(state: CarriedState, link: HostLink, owner: DeviceOwner): RemoteDevice {
    const { kind, streams, openedAt } = state;
    const device = new RemoteDevice({ kind, ...lastingSpec(state) }, link, owner, openedAt);
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

  get note(): string {
    return this.#note ?? '';
  }

  get hostId(): string {
    return this.#link.id;
  }

  /** A phone's last `state` event, and when it came, in epoch ms. */
  get state(): { readonly text: string; readonly at: number } | undefined {
    return this.#state;
  }

  get streams(): readonly MediaStreamInfo[] {
    return this.#streams;
  }

  get delivery(): readonly MediaDelivery[] {
    return this.#delivery ?? [];
  }

  /** Opens it for a browser. */
  openBrowser(listener: Listener): BrowserHandle {
    this.#listener = listener;
    const opened = this.#open().then(() => undefined);
    opened.catch(() => undefined);
    return this.#browserHandle(opened);
  }

  /** Opens it for a phone. */
  openPhone(listener: Listener): PhoneHandle {
    this.#listener = listener;
    const opened = this.#open().then((description) => description!);
    opened.catch(() => undefined);
    return this.#phoneHandle(opened);
  }

  adoptBrowser(listener: Listener): BrowserHandle {
    this.#adoptBy(listener);
    return this.#browserHandle(Promise.resolve());
  }

  adoptPhone(listener: Listener): PhoneHandle {
    this.#adoptBy(listener);
    const [stream] = this.#streams;
    return this.#phoneHandle(Promise.resolve({ sdp: '', held: false, ...(stream && { stream }) }));
  }

  /** The deliveries of all adopted devices are known. */
  deliverNow(): void {
    this.#holdsDelivery = false;
    if (this.#delivery) void this.setDelivery(this.#delivery);
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
        this.#publish(event.streams);
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
      case 'statistics':
      case 'tracksOmitted':
      case 'renegotiate':
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
    await this.#repeatable('setDelivery', { delivery });
  }

  async #open(): Promise<PhoneDescription | undefined> {
    try {
      const description = await this.#link.request('open', { spec: this.spec });
      this.#isOpen = true;
      return this.#described(description);
    } catch (error) {
      this.#isClosed = true;
      this.#owner.closed(this);
      throw error;
    }
  }

  #adoptBy(listener: Listener): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    // The caller gets its handle first.
    setImmediate(() => early.forEach((event) => listener(event)));
  }

  #described<D extends PhoneDescription | undefined>(description: D): D {
    if (description?.stream) this.#publish([description.stream]);
    return description;
  }

  #publish(streams: readonly MediaStreamInfo[]): void {
    this.#streams = streams;
    this.#owner.changed(this);
  }

  async #request<N extends RequestName>(
    name: N,
    args: Omit<ArgumentsOf<N>, 'deviceId'>,
  ): Promise<ResultOf<N>> {
    if (this.#moving) await this.#moving;
    if (this.#isClosed) throw new MediaError('UNKNOWN_DEVICE', `No device ${this.deviceId} is open.`);
    return this.#link.request(name, { ...args, deviceId: this.deviceId });
  }

  /** A request that is made again on the next host: it does not matter if this one dies before it answers. */
  async #repeatable<N extends RequestName>(name: N, args: Omit<ArgumentsOf<N>, 'deviceId'>): Promise<void> {
    const link = this.#link;
    try {
      await this.#request(name, args);
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
        this.#publish([]);
        this.#listener?.({ type: 'mediaLost', cause: 'transport' });
        return;
      }
    }
  }

  async #openElsewhere(link: HostLink): Promise<void> {
    const { deviceId } = this;
    const spec = this.#specElsewhere();
    const description = await link.request('open', { spec });
    if (spec.kind === 'browser') {
      this.#publish([]);
      this.#listener?.({ type: 'streams', streams: [] });
    } else this.#described(description);
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

  /** @throws Error when nothing is known of a phone's media yet */
  #specElsewhere(): BrowserSpec | PhoneSpec {
    const { kind } = this.spec;
    const common = lastingSpec(this.spec);
    if (kind === 'browser') {
      const revision = Math.max(this.#offered?.revision ?? 0, Math.floor(Date.now() / 1000));
      return { kind, ...common, revision, subscribeLayout: this.#offered?.layout ?? [] };
    }
    if (!this.#state) throw new Error('The phone has sent no state of its media yet.');
    const { text: state, at } = this.#state;
    return {
      kind,
      ...common,
      ...(this.#source && { source: this.#source }),
      restored: { state, ageMs: Math.max(0, Date.now() - at) },
    };
  }

  #browserHandle(opened: Promise<void>): BrowserHandle {
    return {
      opened,
      publish: async (options) => {
        const answer = await this.#request('publish', { options });
        this.#publish(answer.streams);
        return answer;
      },
      answerSubscribe: (sdpAnswer) => this.#request('answerSubscribe', { sdpAnswer }),
      resume: () => this.#request('resume', {}),
      ...this.#handle(),
    };
  }

  #phoneHandle(opened: Promise<PhoneDescription>): PhoneHandle {
    return {
      opened,
      answer: async (sdpAnswer) => this.#described(await this.#request('answer', { sdpAnswer })),
      update: async (sdpOffer) =>
        this.#described(await this.#request('update', sdpOffer === undefined ? {} : { sdpOffer })),
      confirm: async (source) => {
        this.#source = source;
        if (!this.#isClosed) await this.#repeatable('confirm', { source });
      },
      sendDtmf: (dtmf) => this.#request('sendDtmf', { dtmf }),
      ...this.#handle(),
    };
  }

  #handle() {
    return {
      setDelivery: (delivery: readonly MediaDelivery[]) => this.setDelivery(delivery),
      // It is written before this returns: nothing is waited for.
      // eslint-disable-next-line @typescript-eslint/require-await
      keep: async (note: string) => {
        requireShortNote(note);
        this.#note = note;
        if (!this.#moving && !this.#isClosed) this.#link.keep(this.deviceId, note);
      },
      close: () => this.close(),
    };
  }
}
