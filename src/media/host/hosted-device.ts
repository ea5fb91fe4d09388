import type { AnyHandle, BrowserHandle, MediaPlane, PhoneHandle, ProgramHandle } from '../door.js';
import {
  type AnySpec,
  lastingSpec,
  MediaError,
  type MediaStreamInfo,
  type PhoneDescription,
  type ProgramSpec,
} from '../types.js';
import type { AnyRequest, CarriedState, DeviceEvent, OpenResult, ToHost } from './messages.js';

/** The requests that a device answers itself. */
type DeviceRequest = Extract<
  AnyRequest,
  {
    name:
      'setDelivery' | 'publish' | 'answerSubscribe' | 'resume' | 'answer' | 'update' | 'confirm' | 'sendDtmf';
  }
>;

/** Digits and marks that are kept while no gateway is connected; further ones are dropped. */
const MAX_KEPT = 128;

const STATE_DELAY_MS = 10;

/** A device of a media host, with what a later gateway has to know of it. */
export class HostedDevice {
  readonly #spec: AnySpec;
  readonly #openedAt = Date.now();
  readonly #handle: AnyHandle;
  /** Absent while no gateway is there. */
  #send: ((event: DeviceEvent) => void) | undefined;
  /** What came while no gateway was there: the last event of each type, and all digits and marks. */
  #missed = new Map<DeviceEvent['type'], DeviceEvent>();
  #each: DeviceEvent[] = [];
  #note = '';
  #streams: readonly MediaStreamInfo[] = [];
  #state: Pick<CarriedState, 'state' | 'stateAt'> = {};
  #sendsState = false;
  #offer: Pick<CarriedState, 'revision' | 'layout'> = {};

  /** Opens it. @param send takes the device's events until {@link detach} */
  constructor(plane: MediaPlane, spec: AnySpec, send: (event: DeviceEvent) => void) {
    this.#spec = spec;
    this.#send = send;
    const listener = (event: DeviceEvent): void => this.#take(event);
    this.#handle = plane.open(spec, listener);
  }

  get deviceId(): string {
    return this.#spec.deviceId;
  }

  /** Resolves when it is open. @throws MediaError by rejection, as the handle's `opened` */
  async opened(): Promise<OpenResult> {
    const opened = await this.#handle.opened;
    if (!opened) return {};
    if ('sdp' in opened) return { description: this.#described(opened) };
    this.#streams = [opened];
    return { stream: opened };
  }

  get handle(): AnyHandle {
    return this.#handle;
  }

  /** @throws MediaError by rejection: what the device says, UNKNOWN_DEVICE for a request that its kind has not */
  async serve(request: DeviceRequest): Promise<unknown> {
    switch (request.name) {
      case 'setDelivery':
        return this.#handle.setDelivery(request.delivery);
      case 'publish': {
        const answer = await this.#browser.publish(request.options);
        this.#streams = answer.streams;
        return answer;
      }
      case 'answerSubscribe':
        return this.#browser.answerSubscribe(request.sdpAnswer);
      case 'resume':
        return this.#browser.resume();
      case 'answer':
        return this.#described(await this.#phone.answer(request.sdpAnswer));
      case 'update':
        return this.#described(await this.#phone.update(request.sdpOffer));
      case 'confirm':
        return this.#phone.confirm(request.source);
      case 'sendDtmf':
        return (this.#program ?? this.#phone).sendDtmf(request.dtmf);
    }
  }

  /** What a program plays. */
  play(pcm: Buffer): void {
    this.#program?.play(pcm);
  }

  /** Takes a message that gets no answer. */
  told(message: Extract<ToHost, { type: 'keep' | 'levels' | 'mark' | 'clear' }>): void {
    if (message.type === 'keep') this.#note = message.note;
    else if (message.type === 'levels') this.#handle.watchLevels(message.isWatched);
    else if (message.type === 'mark') this.#program?.mark(message.mark);
    else this.#program?.clear();
  }

  /** @throws MediaError UNKNOWN_DEVICE */
  get #browser(): BrowserHandle {
    if ('publish' in this.#handle) return this.#handle;
    throw new MediaError('UNKNOWN_DEVICE', `Device ${this.deviceId} is not a browser.`);
  }

  /** @throws MediaError UNKNOWN_DEVICE */
  get #phone(): PhoneHandle {
    if ('confirm' in this.#handle) return this.#handle;
    throw new MediaError('UNKNOWN_DEVICE', `Device ${this.deviceId} is not a phone.`);
  }

  get #program(): ProgramHandle | undefined {
    return 'play' in this.#handle ? this.#handle : undefined;
  }

  /** The gateway is gone: events are kept. The next one says again whose levels are wanted. */
  detach(): void {
    this.#send = undefined;
    this.#handle.watchLevels(false);
  }

  /** Another gateway is connected: it gets the events that came in between. */
  attach(send: (event: DeviceEvent) => void): void {
    this.#send = send;
    for (const event of [...this.#missed.values(), ...this.#each]) send(event);
    this.#missed = new Map();
    this.#each = [];
  }

  /** Absent for a file, which its gateway has to end. */
  carried(): CarriedState | undefined {
    const { kind } = this.#spec;
    if (kind === 'file') return undefined;
    return {
      kind,
      ...lastingSpec(this.#spec),
      note: this.#note,
      streams: this.#streams,
      openedAt: this.#openedAt,
      ...(this.#spec.kind === 'program' && { program: programTerms(this.#spec) }),
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

  /** Each of these counts. */
  #keepSome(event: DeviceEvent): void {
    if (this.#each.length < MAX_KEPT) this.#each.push(event);
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
      // What a program would have received meanwhile is late; its marks are answered.
      case 'audio':
      case 'levels':
        return;
      case 'played':
        this.#keepSome(event);
        return;
      // `carried` has them; `resume` makes an unanswered offer again.
      case 'streams':
      case 'state':
      case 'subscribeOffer':
        return;
      case 'dtmf':
      case 'digit':
        this.#keepSome(event);
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
      case 'overflow':
      case 'interrupted':
      case 'started':
      case 'ended':
    }
    this.#missed.set(event.type, event);
  }
}

function programTerms({ rate, channels, queueMs }: ProgramSpec): CarriedState['program'] {
  return { rate, channels, queueMs };
}
