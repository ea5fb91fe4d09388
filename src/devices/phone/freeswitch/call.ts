import type { Logger } from 'pino';
import {
  type Direction,
  MediaError,
  type MediaListener,
  type PhoneDescription,
  type PhoneDoor,
  type PhoneHandle,
  type PhoneMediaEvent,
  type PhoneSpec,
  reverse,
} from '../../../media/index.js';
import type { FreeswitchConnection } from './connection.js';
import { LegRefused } from './failure.js';
import { hangupCauses, type Leg, ModifyRefused } from './leg.js';
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
  readonly #origin = new Origin();
  #server: FreeswitchServer;
  #phoneLeg: Promise<Leg> | undefined;
  #mediaLeg: Promise<Leg> | undefined;
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
  /** A leg that the call has now has ended. */
  #legsEnd = false;
  /** No leg is opened any more, and none tells of its end. */
  #isOver = false;
  #closing: Promise<void> | undefined;

  constructor(server: FreeswitchServer, options: BridgedCallOptions) {
    this.#server = server;
    this.#options = options;
    const { deviceId, sessionId, labels, sdpOffer } = options.spec;
    this.#phoneSdp = sdpOffer;
    // FreeSWITCH answers our offer.
    this.media = options.plane.open(
      { kind: 'phone', deviceId, sessionId, source: 'trusted', ...(labels && { labels }) },
      options.listener,
    );
  }

  /**
   * Answers the phone's offer in FreeSWITCH or (without one) makes an offer to it, and bridges it to the plane.
   * @throws what FreeSWITCH, drachtio-srf and the plane throw; nothing is left open then
   */
  async open(): Promise<PhoneDescription> {
    try {
      const { sdp } = await this.media.opened;
      await this.#openLegs(sdp);
      this.#requireOpen();
      return this.describe();
    } catch (error) {
      await this.close();
      throw error;
    }
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
    const phoneLeg = await this.#present(this.#phoneLeg);
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
    const phoneLeg = await this.#present(this.#phoneLeg);
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
    this.#leaveLegs();
    this.#server = server;
    const { sdp } = await this.media.update();
    await this.#openLegs(sdp);
  }

  /** Gives up the legs, of a FreeSWITCH that is gone, and leaves the plane's device open. */
  release(): void {
    this.#isOver = true;
    this.#leaveLegs();
  }

  /** Ends the legs, those that are being opened too, and the plane's device. Resolves when nothing is left. */
  close(): Promise<void> {
    this.#isOver = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const ends = [this.#phoneLeg, this.#mediaLeg].map((leg) => this.#hangUp(leg));
    await Promise.all([...ends, this.media.close()]);
  }

  /** To be called before a leg is opened: nobody would end it. */
  #requireOpen(): void {
    if (this.#isOver) throw new MediaError('INVALID_STATE', 'The phone was closed.');
  }

  async #openLegs(planeOffer: string): Promise<void> {
    this.#requireOpen();
    this.#legsEnd = false;
    this.#server.reserve();
    const connection = this.#connection();
    if (this.#phoneSdp === undefined) {
      this.#planeOffer = planeOffer;
      this.#phoneLeg = this.#watched(connection.offeringLeg());
      this.#tell(plainAudioOnly((await this.#phoneLeg).sdp), 'sendrecv');
      return;
    }
    const { answer, leg } = connection.phoneLeg(this.#phoneSdp);
    this.#phoneLeg = this.#watched(leg);
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
    this.#mediaLeg = this.#watched(
      connection.mediaLeg(rtpHost === undefined ? offer : withAddress(offer, rtpHost)),
    );
    const leg = await this.#mediaLeg.catch(refusedByServer);
    const description = withAddress(leg.sdp, leg.mediaIp);
    this.#inner = await this.media.answer(this.#asPhone(description));
  }

  /** Tells the plane which way the phone wants media, in the words of the leg that the plane knows. */
  async #passOn(): Promise<void> {
    const leg = await this.#present(this.#mediaLeg);
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
    const bridged = Promise.all([this.#phoneLeg, this.#mediaLeg]).then(async ([phoneLeg, mediaLeg]) => {
      if (!phoneLeg || !mediaLeg) return;
      const events = this.#phoneSdp === undefined || hasTelephoneEvent(this.#phoneSdp);
      if (events) await connection.passOnDtmf(phoneLeg, mediaLeg);
      else phoneLeg.findDtmf();
      await connection.bridge(phoneLeg, mediaLeg);
      server.accepted();
    });
    this.#bridged = bridged.catch((error: unknown) => {
      if (this.#isOver || connection !== this.#server.connection) return;
      this.#options.log.warn({ err: error }, 'FreeSWITCH could not bridge the phone.');
      server.refused(error);
      this.#options.onOrphaned();
    });
  }

  #watched(leg: Promise<Leg>): Promise<Leg> {
    leg.then(
      async (ready) => {
        await ready.ended;
        await this.#onLegEnded(leg);
      },
      () => undefined,
    );
    return leg;
  }

  async #onLegEnded(leg: Promise<Leg>): Promise<void> {
    if (!this.#has(leg) || this.#legsEnd) return;
    this.#legsEnd = true;
    const causes = await hangupCauses([this.#phoneLeg, this.#mediaLeg]);
    if (!this.#has(leg)) return;
    // Their connections broke. When all of FreeSWITCH is gone, that is the server's to tell.
    if (causes.length === 0 && (!(await this.#server.check()) || !this.#has(leg))) return;
    this.#options.log.info({ causes }, 'FreeSWITCH ended a leg.');
    const isShuttingDown = causes.includes(SHUTDOWN);
    if (isShuttingDown) this.#server.refused(new Error('FreeSWITCH is shutting down.'));
    if (isShuttingDown || causes.length === 0) this.#options.onOrphaned();
    else this.#options.onEnded(causes.includes(MEDIA_TIMEOUT) ? 'timeout' : 'transport');
  }

  /** Whether a leg is one that the call has now, and not one that it had before it moved. */
  #has(leg: Promise<Leg>): boolean {
    return !this.#isOver && (leg === this.#phoneLeg || leg === this.#mediaLeg);
  }

  async #hangUp(leg: Promise<Leg> | undefined): Promise<void> {
    // A leg that could not be opened needs no ending.
    const ready = await leg?.catch(() => undefined);
    await ready?.hangUp();
  }

  #leaveLegs(): void {
    for (const leg of [this.#phoneLeg, this.#mediaLeg]) {
      leg?.then(
        (ready) => ready.abandon(),
        () => undefined,
      );
    }
  }

  #connection(): FreeswitchConnection {
    const { connection } = this.#server;
    if (!connection) throw new Error(`FreeSWITCH ${this.#server.address} is down.`);
    return connection;
  }

  #present(leg: Promise<Leg> | undefined): Promise<Leg> {
    if (!leg) throw new Error('The call has no legs.');
    return leg;
  }
}

function refusedByServer(error: unknown): never {
  throw new LegRefused('FreeSWITCH did not open a leg.', { cause: error });
}
