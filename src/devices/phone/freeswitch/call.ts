import type { Logger } from 'pino';
import {
  type Direction,
  lastingSpec,
  MediaError,
  type MediaListener,
  type PhoneDescription,
  type PhoneDoor,
  type PhoneHandle,
  type PhoneMediaEvent,
  type PhoneSpec,
  reverse,
} from '../../../media/index.js';
import type { FreeswitchRecord } from '../restore/call-record.js';
import type { FreeswitchConnection } from './connection.js';
import { LegRefused } from './failure.js';
import type { CarriedLegs } from './carried-legs.js';
import { type Leg, ModifyRefused } from './leg.js';
import { type BridgedLegs, Legs } from './legs.js';
import {
  audioOf,
  directionOf,
  firstCodec,
  hasTelephoneEvent,
  hasUsableAudio,
  isEncrypted,
  Origin,
  plainAudioOnly,
  preferring,
  sentAs,
  withAddress,
  withDirection,
  withoutTelephoneEvent,
} from './sdp.js';
import type { FreeswitchServer } from './server.js';

interface BridgedCallOptions {
  readonly spec: PhoneSpec;
  /** The media plane that FreeSWITCH bridges the phone to. */
  readonly plane: PhoneDoor;
  /** Of the phone's end in the plane. */
  readonly listener: MediaListener<PhoneMediaEvent>;
  /** Address of the plane's RTP on the private network; absent: as the plane's SDP says. */
  readonly rtpHost?: string | undefined;
  readonly log: Logger;
  /** A leg ended without our doing. */
  readonly onEnded: (cause: 'transport' | 'timeout') => void;
  /** Legs are lost, though nobody hung up. */
  readonly onOrphaned: () => void;
  /** There is something new to keep for the next gateway. */
  readonly onChanged: () => void;
}

/** What the gateway before has left of a call. */
export interface CallBefore {
  /** The phone's end in the media plane. */
  readonly media: PhoneHandle;
  readonly record: FreeswitchRecord;
  readonly held: boolean;
  /** Absent: they have died with it. */
  readonly legs?: BridgedLegs | undefined;
}

/** FreeSWITCH's name for a leg that got no RTP for its `rtp-timeout-sec`. */
const MEDIA_TIMEOUT = 'MEDIA_TIMEOUT';
const SHUTDOWN = 'SYSTEM_SHUTDOWN';

/**
 * One phone in a FreeSWITCH: a leg that answers the phone, a leg to the media plane's RTP, and the bridge between.
 * Only the way is FreeSWITCH's: streams, mix, DTMF and time-out stay the media plane's, and pass through unchanged.
 */
export class BridgedCall {
  /** The phone's end in the media plane. */
  readonly media: PhoneHandle;
  readonly #options: BridgedCallOptions;
  readonly #before: CallBefore | undefined;
  readonly #origin: Origin;
  #server: FreeswitchServer;
  #legs: Legs;
  /** What the phone said last. */
  #phoneSdp: string | undefined;
  /** What the phone was told last. */
  #toldSdp = '';
  /** The plane's offer, while it waits for the phone's codec. */
  #planeOffer: string | undefined;
  /** Settles when the legs are bridged, or could not be. */
  #bridged: Promise<void> = Promise.resolve();
  /** What the plane knows of the phone. */
  #inner: PhoneDescription | undefined;
  /** No leg is opened any more. */
  #isOver = false;
  #closing: Promise<void> | undefined;

  constructor(server: FreeswitchServer, options: BridgedCallOptions, before?: CallBefore) {
    this.#server = server;
    this.#options = options;
    this.#before = before;
    this.#legs = this.#newLegs();
    this.#phoneSdp = before ? before.record.phoneSdp : options.spec.sdpOffer;
    this.#toldSdp = before?.record.toldSdp ?? '';
    this.#origin = new Origin(before?.record.origin);
    // FreeSWITCH answers our offer.
    this.media =
      before?.media ??
      options.plane.open(
        { kind: 'phone', ...lastingSpec(options.spec), source: 'trusted' },
        options.listener,
      );
    if (before?.legs) this.#legs.goOnWith(before.legs);
  }

  /**
   * Answers the phone's offer in FreeSWITCH or (without one) makes an offer to it, and bridges it to the plane; or goes
   * on with the call of the gateway before.
   * @throws what FreeSWITCH, drachtio-srf and the plane throw; nothing is left open then
   */
  async open(): Promise<PhoneDescription> {
    try {
      const opened = await this.media.opened;
      if (this.#before) this.#inner = { ...opened, held: this.#before.held };
      else await this.#openLegs(opened.sdp);
      this.#requireOpen();
      return this.describe();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** What another gateway needs to go on with it. */
  record(carriedLegs: CarriedLegs): FreeswitchRecord {
    const origin = this.#origin.state;
    const legs = this.#legs.bridged && carriedLegs.save(this.#legs.bridged);
    return {
      server: this.#server.address,
      toldSdp: this.#toldSdp,
      ...(this.#phoneSdp !== undefined && { phoneSdp: this.#phoneSdp }),
      ...(origin && { origin }),
      ...(legs && { legs }),
    };
  }

  /** Whether the phone is not, or no longer, in a FreeSWITCH. */
  isOver(): boolean {
    return this.#isOver;
  }

  get server(): FreeswitchServer {
    return this.#server;
  }

  /** The phone's last SDP, for those who can serve it without FreeSWITCH. */
  get phoneSdp(): string | undefined {
    return this.#phoneSdp;
  }

  describe(): PhoneDescription {
    const audio = audioOf(this.#toldSdp);
    const stream = this.#inner?.stream && sentAs(audio, this.#inner.stream);
    const told = { sdp: this.#toldSdp, ...(stream && { stream }), ...(audio && { audio }) };
    return { held: false, ...this.#inner, ...told };
  }

  /** The phone's answer to an offer of ours. */
  async answer(sdpAnswer: string): Promise<PhoneDescription> {
    const phoneLeg = await this.#legs.phone;
    await this.#modify(phoneLeg, sdpAnswer);
    this.#phoneSdp = sdpAnswer;
    if (this.#planeOffer === undefined) {
      await this.#passOn();
    } else {
      await this.#openMediaLeg(this.#connection(), this.#planeOffer);
      this.#planeOffer = undefined;
      this.#bridge();
    }
    return this.describe();
  }

  /** A new offer of the phone; without one, what it was told last is the offer. */
  async update(sdpOffer?: string): Promise<PhoneDescription> {
    const phoneLeg = await this.#legs.phone;
    // Changed while FreeSWITCH bridges it, the phone could go unheard from then on.
    await this.#bridged;
    if (sdpOffer === undefined) {
      this.#tell(this.#toldSdp, 'sendrecv');
      return this.describe();
    }
    this.#tell(await this.#modify(phoneLeg, sdpOffer), reverse(directionOf(sdpOffer)));
    this.#phoneSdp = sdpOffer;
    await this.#passOn();
    return this.describe();
  }

  /**
   * Whether {@link moveTo} can work. Keys of a DTLS handshake are bound to the FreeSWITCH that made it. Those in the
   * SDP (RFC 4568) could be new ones in a re-INVITE, but there are phones that keep to the old (baresip) and then
   * hear nothing; and no other FreeSWITCH can be given them.
   */
  get movable(): boolean {
    return this.#phoneSdp !== undefined && !isEncrypted(this.#toldSdp);
  }

  /** Does it all again on another FreeSWITCH; the phone is to be offered {@link describe} then. */
  async moveTo(server: FreeswitchServer): Promise<void> {
    this.#legs.leave();
    this.#legs = this.#newLegs();
    this.#server = server;
    const { sdp } = await this.media.update();
    await this.#openLegs(sdp);
  }

  /** Gives up the legs, of a FreeSWITCH that is gone, and leaves the plane's device open. */
  release(): void {
    this.#isOver = true;
    this.#legs.leave();
  }

  /** Ends the legs, those that are being opened too, and the plane's device. Resolves when nothing is left. */
  close(): Promise<void> {
    this.#isOver = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([this.#legs.hangUp(), this.media.close()]);
  }

  /** To be called before a leg is opened: nobody would end it. */
  #requireOpen(): void {
    if (this.#isOver) throw new MediaError('INVALID_STATE', 'The phone was closed.');
  }

  async #openLegs(planeOffer: string): Promise<void> {
    this.#requireOpen();
    this.#server.reserve();
    const connection = this.#connection();
    if (this.#phoneSdp === undefined) {
      this.#planeOffer = planeOffer;
      this.#legs.takePhone(connection.offeringLeg());
      this.#tell(plainAudioOnly((await this.#legs.phone).sdp), 'sendrecv');
      return;
    }
    const { answer, leg } = connection.phoneLeg(this.#phoneSdp);
    this.#legs.takePhone(leg);
    const ofPhone = hasUsableAudio(this.#phoneSdp) ? answer.catch(refusedByServer) : answer;
    const [told] = await Promise.all([ofPhone, this.#openMediaLeg(connection, planeOffer)]);
    this.#tell(told, reverse(directionOf(this.#phoneSdp)));
    this.#bridge();
  }

  /** A description that it refuses leaves FreeSWITCH deaf to the phone: it is given the last good one again. */
  async #modify(phoneLeg: Leg, sdp: string): Promise<string> {
    try {
      return await phoneLeg.modify(sdp);
    } catch (error) {
      if (error instanceof ModifyRefused && this.#phoneSdp !== undefined)
        await phoneLeg.modify(this.#phoneSdp);
      throw error;
    }
  }

  /** FreeSWITCH leaves `sendrecv` out, and says it to those who hold by `c=0.0.0.0`: phones read both wrongly. */
  #tell(sdp: string, direction: Direction): void {
    this.#toldSdp = this.#origin.next(withDirection(sdp, direction));
  }

  async #openMediaLeg(connection: FreeswitchConnection, planeOffer: string): Promise<void> {
    this.#requireOpen();
    // FreeSWITCH takes the first codec that it has: the phone's, so that it need not transcode.
    const offer = preferring(planeOffer, this.#phoneSdp && firstCodec(this.#phoneSdp));
    const { rtpHost } = this.#options;
    this.#legs.takeMedia(connection.mediaLeg(rtpHost === undefined ? offer : withAddress(offer, rtpHost)));
    const leg = await this.#legs.media.catch(refusedByServer);
    const description = withAddress(leg.sdp, leg.mediaIp);
    this.#inner = await this.media.answer(this.#asPhone(description));
  }

  /** Tells the plane which way the phone wants media, in the words of the leg that the plane knows. */
  async #passOn(): Promise<void> {
    const leg = await this.#legs.media;
    const description = this.#asPhone(withAddress(leg.sdp, leg.mediaIp));
    if (hasTelephoneEvent(description)) {
      this.#inner = await this.media.update(description);
    } else {
      // As the answer to an offer of the plane's, which keeps taking the events that it offers.
      await this.media.update();
      this.#inner = await this.media.answer(description);
    }
  }

  /**
   * A phone without telephone events is sent tones, which the plane makes: FreeSWITCH has no sound to put its own into
   * while events come. Events that FreeSWITCH finds in the phone's sound still reach the plane, which offered them.
   */
  #asPhone(mediaLegSdp: string): string {
    const phoneSdp = this.#phoneSdp;
    if (phoneSdp === undefined) return mediaLegSdp;
    const sdp = withDirection(mediaLegSdp, directionOf(phoneSdp));
    return hasTelephoneEvent(phoneSdp) ? sdp : withoutTelephoneEvent(sdp);
  }

  /** Goes on behind the answer to the phone: encrypted media are up only after that. */
  #bridge(): void {
    const server = this.#server;
    const connection = this.#connection();
    const events = this.#phoneSdp === undefined || hasTelephoneEvent(this.#phoneSdp);
    this.#bridged = this.#legs.bridge(connection, events).then(
      () => {
        server.accepted();
        this.#options.onChanged();
      },
      (error: unknown) => {
        if (this.#isOver || connection !== this.#server.connection) return;
        this.#options.log.warn({ err: error }, 'FreeSWITCH could not bridge the phone.');
        server.refused(error);
        this.#options.onOrphaned();
      },
    );
  }

  #newLegs(): Legs {
    return new Legs({
      check: () => this.#server.check(),
      onEnded: (causes) => this.#onLegsEnded(causes),
    });
  }

  #onLegsEnded(causes: readonly string[]): void {
    this.#options.log.info({ causes }, 'FreeSWITCH ended a leg.');
    const isShuttingDown = causes.includes(SHUTDOWN);
    if (isShuttingDown) this.#server.refused(new Error('FreeSWITCH is shutting down.'));
    if (isShuttingDown || causes.length === 0) this.#options.onOrphaned();
    else this.#options.onEnded(causes.includes(MEDIA_TIMEOUT) ? 'timeout' : 'transport');
  }

  #connection(): FreeswitchConnection {
    const { connection } = this.#server;
    if (!connection) throw new Error(`FreeSWITCH ${this.#server.address} is down.`);
    return connection;
  }
}

function refusedByServer(error: unknown): never {
  throw new LegRefused('FreeSWITCH did not open a leg.', { cause: error });
}
