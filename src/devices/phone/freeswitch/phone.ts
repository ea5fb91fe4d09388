import type { Logger } from 'pino';
import {
  MAX_SDP,
  type MediaDelivery,
  type MediaDtmf,
  MediaError,
  type MediaListener,
  type PhoneDescription,
  type PhoneDoor,
  type PhoneHandle,
  type PhoneMediaEvent,
  type PhoneSource,
  type PhoneSpec,
} from '../../../media/index.js';
import type { CallRecord, FreeswitchRecord } from '../restore/call-record.js';
import { BridgedCall, type CallBefore } from './call.js';
import type { CarriedLegs } from './carried-legs.js';
import { asPatchbayError, isServersFault, noServer } from './failure.js';
import { sentAs } from './sdp.js';
import type { FreeswitchServer } from './server.js';

export interface FreeswitchOptions {
  readonly plane: PhoneDoor;
  /** Whether there is a SIP server to place calls with; waits for one that may come back. */
  readonly sipReachable: () => Promise<boolean>;
  readonly rtpHost?: string;
  /** Without a healthy FreeSWITCH, phones go straight to the media plane. */
  readonly fallbackToDirect: boolean;
  readonly log: Logger;
}

export interface PhoneOptions extends FreeswitchOptions {
  readonly carriedLegs: CarriedLegs;
  readonly pool: {
    /** Those that can take a call, in the order that new calls should try them. */
    candidates(except?: FreeswitchServer): FreeswitchServer[];
  };
  readonly onClosed: (phone: FreeswitchPhone) => void;
  /** There is something new to keep for the next gateway. */
  readonly onChanged: () => void;
}

/** The way of a phone of the gateway before: what was kept of it, and where its legs are. */
export interface WayBefore {
  readonly record: CallRecord & { readonly freeswitch: FreeswitchRecord };
  readonly server: FreeswitchServer;
  readonly legs: CallBefore['legs'];
}

export interface GoOn {
  readonly spec: PhoneSpec;
  readonly listener: MediaListener<PhoneMediaEvent>;
  /** Gets hold of its end in the media plane. */
  readonly takeMedia: (listener: MediaListener<PhoneMediaEvent>) => PhoneHandle | undefined;
  /** Absent: it was served without FreeSWITCH. */
  readonly before: WayBefore | undefined;
}

/** As the media plane has it, before FreeSWITCH and what is read for it get a description. */
function requireBounded(sdp: string | undefined): void {
  if (sdp !== undefined && sdp.length > MAX_SDP)
    throw new MediaError('BAD_SDP', 'The session description is too long.');
}

/** One phone that is served by way of FreeSWITCH or, where that may be and has to be, without. */
export class FreeswitchPhone implements PhoneHandle {
  #opened!: Promise<PhoneDescription>;
  readonly #options: PhoneOptions;
  readonly #spec: PhoneSpec;
  readonly #listener: MediaListener<PhoneMediaEvent>;
  readonly #log: Logger;
  /** Its way by FreeSWITCH; absent before the first is tried, and without one. */
  #call: BridgedCall | undefined;
  /** Its end in the media plane; absent before the first is opened. */
  #media: PhoneHandle | undefined;
  #delivery: readonly MediaDelivery[] = [];
  #isWatched = false;
  /** Of the phone's latest SIP message: to be known when FreeSWITCH is no longer between. */
  #source: PhoneSource | undefined;
  #isOpen = false;
  #isClosed = false;
  /** On its way to another FreeSWITCH. */
  #isMoving = false;

  private constructor(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>, options: PhoneOptions) {
    this.#spec = spec;
    this.#listener = (event) => listener(this.#asSent(event));
    this.#options = options;
    this.#source = spec.source;
    this.#log = options.log.child({ deviceId: spec.deviceId });
  }

  /** Opens it by one of the pool's FreeSWITCHes. */
  static open(
    spec: PhoneSpec,
    listener: MediaListener<PhoneMediaEvent>,
    options: PhoneOptions,
  ): FreeswitchPhone {
    const phone = new FreeswitchPhone(spec, listener, options);
    phone.#openBy(() => phone.#openAnew());
    return phone;
  }

  /**
   * Goes on with a phone of the gateway before.
   * @returns undefined when it has no end in the media plane
   */
  static goOn(
    { spec, listener, takeMedia, before }: GoOn,
    options: PhoneOptions,
  ): FreeswitchPhone | undefined {
    const phone = new FreeswitchPhone(spec, listener, options);
    const media = takeMedia(phone.#listener);
    if (!media) return undefined;
    phone.#media = media;
    phone.#openBy(() => (before ? phone.#goOn(media, before) : media.opened));
    return phone;
  }

  get opened(): Promise<PhoneDescription> {
    return this.#opened;
  }

  /** What another gateway needs to go on with its way; undefined when it is served without FreeSWITCH. */
  record(): FreeswitchRecord | undefined {
    return this.#call?.record(this.#options.carriedLegs);
  }

  isOn(server: FreeswitchServer): boolean {
    return this.#isOpen && !this.#isClosed && this.#call?.server === server;
  }

  async answer(sdpAnswer: string): Promise<PhoneDescription> {
    requireBounded(sdpAnswer);
    const media = await this.#present();
    return this.#call ? translated(this.#call.answer(sdpAnswer)) : media.answer(sdpAnswer);
  }

  async update(sdpOffer?: string): Promise<PhoneDescription> {
    requireBounded(sdpOffer);
    const media = await this.#present();
    return this.#call ? translated(this.#call.update(sdpOffer)) : media.update(sdpOffer);
  }

  /** Between FreeSWITCH and the phone, FreeSWITCH decides what to believe and where to send. */
  async confirm(source: PhoneSource): Promise<void> {
    this.#source = source;
    if (!this.#call) await this.#media?.confirm(source);
  }

  /** FreeSWITCH passes on what the plane sends it: as events, or as tones to a phone without them. */
  async sendDtmf(dtmf: MediaDtmf): Promise<void> {
    const media = await this.#present();
    await media.sendDtmf(dtmf);
  }

  async setDelivery(delivery: readonly MediaDelivery[]): Promise<void> {
    this.#delivery = delivery;
    await this.#media?.setDelivery(delivery);
  }

  watchLevels(isWatched: boolean): void {
    this.#isWatched = isWatched;
    this.#media?.watchLevels(isWatched);
  }

  async keep(note: string): Promise<void> {
    const media = await this.#present();
    await media.keep(note);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (this.#call ?? this.#media)?.close();
    this.#options.onClosed(this);
  }

  /** Its legs are lost, though nobody hung up. Both they and their server tell. */
  orphaned(): void {
    if (this.#isOpen && this.#call && !this.#isMoving) void this.#rescue(this.#call);
  }

  #asSent(event: PhoneMediaEvent): PhoneMediaEvent {
    if (!this.#call) return event;
    if (event.type === 'statistics') {
      // Measured between FreeSWITCH and us, which says nothing of the phone's network.
      return { ...event, statistics: { ...event.statistics, quality: undefined } };
    }
    if (event.type !== 'streams') return event;
    const { audio } = this.#call.describe();
    return { ...event, streams: event.streams.map((stream) => sentAs(audio, stream)) };
  }

  #openBy(open: () => Promise<PhoneDescription>): void {
    this.#opened = this.#open(open);
    // Whoever opens it learns of a failure when he looks.
    this.#opened.catch(() => undefined);
  }

  async #open(open: () => Promise<PhoneDescription>): Promise<PhoneDescription> {
    try {
      const description = await open();
      this.#isOpen = true;
      return description;
    } catch (error) {
      const wasClosed = this.#isClosed;
      await this.close();
      throw wasClosed ? closedMeanwhile(error) : error;
    }
  }

  async #openAnew(): Promise<PhoneDescription> {
    requireBounded(this.#spec.sdpOffer);
    return (await this.#openByFreeswitch()) ?? this.#openDirectly();
  }

  async #goOn(media: PhoneHandle, { record, server, legs }: WayBefore): Promise<PhoneDescription> {
    const { origin, held, freeswitch, dialog } = record;
    this.#source = { ...origin };
    const toldSdp = freeswitch.toldSdp ?? dialog.localSdp ?? '';
    const call = this.#callOn(server, { media, held, legs, record: { ...freeswitch, toldSdp } });
    this.#call = call;
    const description = await call.open();
    this.#isOpen = true;
    if (!legs || !server.connection) this.orphaned();
    return description;
  }

  /** @returns undefined when no FreeSWITCH takes the phone, and it may go without */
  async #openByFreeswitch(): Promise<PhoneDescription | undefined> {
    const { pool, fallbackToDirect } = this.#options;
    let lastError: unknown;
    for (const server of pool.candidates()) {
      this.#requireOpen();
      this.#call = this.#callOn(server);
      this.#useMedia(this.#call.media);
      try {
        return await this.#call.open();
      } catch (error) {
        if (this.#isClosed || !isServersFault(error)) throw asPatchbayError(error);
        server.refused(error);
        lastError = error;
      }
    }
    if (!fallbackToDirect) throw noServer(lastError);
    return undefined;
  }

  #openDirectly(): Promise<PhoneDescription> {
    this.#requireOpen();
    this.#log.warn('No FreeSWITCH takes the phone: it is served directly.');
    const media = this.#options.plane.open(this.#spec, this.#listener);
    this.#call = undefined;
    this.#useMedia(media);
    return media.opened;
  }

  #callOn(server: FreeswitchServer, before?: CallBefore): BridgedCall {
    const { plane, rtpHost, onChanged } = this.#options;
    const options = {
      spec: this.#spec,
      plane,
      listener: this.#listener,
      rtpHost,
      log: this.#log,
      onChanged,
      onEnded: (cause: 'transport' | 'timeout') => {
        if (this.#isOpen) this.#listener({ type: 'mediaLost', cause });
      },
      onOrphaned: () => this.orphaned(),
    };
    return new BridgedCall(server, options, before);
  }

  #useMedia(media: PhoneHandle): void {
    this.#media = media;
    if (this.#delivery.length > 0) void this.setDelivery(this.#delivery);
    if (this.#isWatched) media.watchLevels(true);
  }

  async #rescue(call: BridgedCall): Promise<void> {
    this.#isMoving = true;
    try {
      if (!(await this.#move(call))) return;
      this.#log.info({ freeswitch: call.server.address }, 'The phone moves on, its FreeSWITCH is lost.');
      this.#listener({ type: 'renegotiate' });
    } catch (error) {
      if (this.#isClosed) return;
      this.#log.warn({ err: error }, 'The phone is lost with its FreeSWITCH.');
      this.#listener({ type: 'mediaLost', cause: 'transport' });
    } finally {
      this.#isMoving = false;
    }
  }

  /** @returns false when the call ended meanwhile */
  async #move(call: BridgedCall): Promise<boolean> {
    // The phone is to be told of its new media or its end, and FreeSWITCH's legs are calls, too.
    if (!(await this.#options.sipReachable())) throw new Error('No SIP server can be reached.');
    if (!call.movable) throw new Error('The phone’s media cannot be moved.');
    let lastError: unknown;
    for (const server of this.#refuges(call.server)) {
      if (call.isOver()) return false;
      try {
        await call.moveTo(server);
        return true;
      } catch (error) {
        if (call.isOver()) return false;
        if (!isServersFault(error)) throw error;
        server.refused(error);
        lastError = error;
      }
    }
    if (call.isOver()) return false;
    if (!this.#options.fallbackToDirect) throw noServer(lastError);
    call.release();
    this.#call = undefined;
    // From here on it is a phone again, no FreeSWITCH.
    if (this.#source) await call.media.confirm(this.#source);
    await call.media.update(call.phoneSdp);
    return true;
  }

  /** Where a call can go that lost its legs: to another FreeSWITCH, or to its own if that goes on. */
  #refuges(lost: FreeswitchServer): FreeswitchServer[] {
    const own = lost.status().available ? [lost] : [];
    return [...this.#options.pool.candidates(lost), ...own];
  }

  #requireOpen(): void {
    if (this.#isClosed) throw closedMeanwhile();
  }

  /** Its end in the media plane, once it is open. */
  async #present(): Promise<PhoneHandle> {
    if (!this.#isOpen && !this.#isClosed) await this.opened;
    if (!this.#media || this.#isClosed) throw new MediaError('UNKNOWN_DEVICE', 'The phone is not open.');
    return this.#media;
  }
}

function closedMeanwhile(cause?: unknown): MediaError {
  return new MediaError('INVALID_STATE', 'The phone was closed while it opened.', { cause });
}

async function translated(change: Promise<PhoneDescription>): Promise<PhoneDescription> {
  try {
    return await change;
  } catch (error) {
    throw asPatchbayError(error);
  }
}
