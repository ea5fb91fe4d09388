import type { BrowserHandle, MediaPlane, PhoneHandle } from '../door.js';
import {
  type BrowserSpec,
  lastingSpec,
  MediaError,
  type MediaStreamInfo,
  type PhoneDescription,
  type PhoneSpec,
} from '../types.js';
import type { CarriedState, DeviceEvent } from './messages.js';

/** Digits that are kept while no gateway is connected; further ones are dropped. */
const MAX_DIGITS = 128;

const STATE_DELAY_MS = 10;

/** A device of a media host, with what a later gateway has to know of it. */
export class HostedDevice {
  readonly #spec: BrowserSpec | PhoneSpec;
  readonly #openedAt = Date.now();
  readonly #handle: BrowserHandle | PhoneHandle;
  /** Absent while no gateway is there. */
  #send: ((event: DeviceEvent) => void) | undefined;
  /** What came while no gateway was there: the last event of each type, and all digits. */
  #missed = new Map<DeviceEvent['type'], DeviceEvent>();
  #digits: DeviceEvent[] = [];
  #note = '';
  #streams: readonly MediaStreamInfo[] = [];
  #state: Pick<CarriedState, 'state' | 'stateAt'> = {};
  #sendsState = false;
  #offer: Pick<CarriedState, 'revision' | 'layout'> = {};

  /** Opens it. @param send takes the device's events until {@link detach} */
  constructor(plane: MediaPlane, spec: BrowserSpec | PhoneSpec, send: (event: DeviceEvent) => void) {
    this.#spec = spec;
    this.#send = send;
    const listener = (event: DeviceEvent): void => this.#take(event);
    this.#handle = spec.kind === 'browser' ? plane.open(spec, listener) : plane.open(spec, listener);
  }

  get deviceId(): string {
    return this.#spec.deviceId;
  }

  /** Resolves when it is open. @throws MediaError by rejection, as the handle's `opened` */
  async opened(): Promise<PhoneDescription | undefined> {
    const description = await this.#handle.opened;
    return description ? this.#described(description) : undefined;
  }

  /** @throws MediaError UNKNOWN_DEVICE when it is a phone */
  get browser(): BrowserHandle {
    if ('publish' in this.#handle) return this.#handle;
    throw new MediaError('UNKNOWN_DEVICE', `Device ${this.deviceId} is not a browser.`);
  }

  /** @throws MediaError UNKNOWN_DEVICE when it is a browser */
  get phone(): PhoneHandle {
    if ('confirm' in this.#handle) return this.#handle;
    throw new MediaError('UNKNOWN_DEVICE', `Device ${this.deviceId} is not a phone.`);
  }

  get handle(): BrowserHandle | PhoneHandle {
    return this.#handle;
  }

  async publish(options: Parameters<BrowserHandle['publish']>[0]): ReturnType<BrowserHandle['publish']> {
    const answer = await this.browser.publish(options);
    this.#streams = answer.streams;
    return answer;
  }

  async answer(sdpAnswer: string): Promise<PhoneDescription> {
    return this.#described(await this.phone.answer(sdpAnswer));
  }

  async update(sdpOffer?: string): Promise<PhoneDescription> {
    return this.#described(await this.phone.update(sdpOffer));
  }

  keep(note: string): void {
    this.#note = note;
  }

  /** The gateway is gone: events are kept. */
  detach(): void {
    this.#send = undefined;
  }

  /** Another gateway is connected: it gets the events that came in between. */
  attach(send: (event: DeviceEvent) => void): void {
    this.#send = send;
    for (const event of [...this.#missed.values(), ...this.#digits]) send(event);
    this.#missed = new Map();
    this.#digits = [];
  }

  carried(): CarriedState {
    return {
      kind: this.#spec.kind,
      ...lastingSpec(this.#spec),
      note: this.#note,
      streams: this.#streams,
      openedAt: this.#openedAt,
      ...this.#state,
      ...this.#offer,
    };
  }

  #described(description: PhoneDescription): PhoneDescription {
    if (description.stream) this.#streams = [description.stream];
    return description;
  }

  #take(event: DeviceEvent): void {
    if (event.type === 'streams') this.#streams = event.streams;
    else if (event.type === 'state') this.#state = { state: event.state, stateAt: Date.now() };
    else if (event.type === 'subscribeOffer')
      this.#offer = { revision: event.offer.revision, layout: event.offer.layout };
    if (event.type === 'state') this.#sendState();
    else if (this.#send) this.#send(event);
    else this.#keepFor(event);
  }

  /** A moment later: the gateway first answers the call whose description it gets meanwhile. */
  #sendState(): void {
    if (this.#sendsState) return;
    this.#sendsState = true;
    setTimeout(() => {
      this.#sendsState = false;
      const { state } = this.#state;
      if (state !== undefined) this.#send?.({ type: 'state', state });
    }, STATE_DELAY_MS);
  }

  #keepFor(event: DeviceEvent): void {
    switch (event.type) {
      // `carried` has them; `resume` makes an unanswered offer again.
      case 'streams':
      case 'state':
      case 'subscribeOffer':
        return;
      case 'dtmf':
        if (this.#digits.length < MAX_DIGITS) this.#digits.push(event);
        return;
      // Of `silent` and `heard`, only the later one counts.
      case 'silent':
        this.#missed.delete('heard');
        break;
      case 'heard':
        this.#missed.delete('silent');
        break;
      case 'mediaLost':
      case 'speaking':
      case 'statistics':
      case 'tracksOmitted':
      case 'renegotiate':
    }
    this.#missed.set(event.type, event);
  }
}
