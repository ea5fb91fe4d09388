import type {
  AskedConnection,
  Connection,
  Delivery,
  Device,
  DeviceCapabilities,
  DeviceInfo,
  EndReason,
  MediaFormats,
  Participant,
} from '../core/index.js';
import type {
  DeviceHandle,
  DeviceMediaEvent,
  DeviceStatistics,
  MediaDelivery,
  MediaKind,
  MediaListener,
  MediaLossCause,
  MediaStreamInfo,
} from '../media/index.js';
import { type Log, withFields } from '../shared/index.js';

/** A delivery as the media plane wants it, without the kinds of media that the device cannot receive. */
function mediaDelivery(
  delivery: Delivery,
  receivable: readonly MediaKind[],
  levelling: boolean | undefined,
): MediaDelivery[] {
  const levels = levelling === undefined ? {} : { levelling };
  return delivery.flatMap(({ streamId, mediaTypes, noiseSuppression, announcement }) => {
    const kinds = mediaTypes.filter((kind) => receivable.includes(kind));
    return kinds.length > 0
      ? [
          {
            streamId,
            kinds,
            ...levels,
            ...(noiseSuppression && { noiseSuppression }),
            ...(announcement && { announcement }),
          },
        ]
      : [];
  });
}

/**
 * Base of every kind of device. It connects the core with the device's endpoint in the media plane: it passes
 * deliveries on (the core may send them before the endpoint is open), reports the endpoint's events to the core, and
 * ends once, whichever side ends it first.
 */
export abstract class MediaDevice<Handle extends DeviceHandle> implements Device {
  readonly info: DeviceInfo;
  abstract readonly capabilities: DeviceCapabilities;
  abstract get formats(): MediaFormats;
  /** Adds the ids of participant, session, connection and device to each line. */
  readonly log: Log;
  readonly #receivable: readonly MediaKind[];
  #identity: Participant | undefined;
  #media: Handle | undefined;
  #connection: Connection | undefined;
  /** The connection, also after its end. */
  #measured: Pick<Connection, 'measured'> | undefined;
  #delivery: Delivery = [];
  #levelling: boolean | undefined;
  #goesOn = false;
  #isWatched = false;
  #statistics: DeviceStatistics | undefined;
  #endReason: EndReason | undefined;

  protected constructor(options: {
    info: DeviceInfo;
    log: Log;
    /** The kinds of media that the device can receive. */
    receivable: readonly MediaKind[];
  }) {
    this.info = options.info;
    this.log = withFields(options.log, () => this.#ids());
    this.#receivable = options.receivable;
  }

  get ended(): boolean {
    return this.#endReason !== undefined;
  }

  /** Absent until the device has ended. */
  protected get endReason(): EndReason | undefined {
    return this.#endReason;
  }

  /** Absent until it is connected, and after its end. */
  get participant(): Participant | undefined {
    return this.#connection?.participant;
  }

  /** Absent until it is connected, and after its end. */
  protected get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Whether {@link media} is there. */
  get hasMedia(): boolean {
    return this.#media !== undefined;
  }

  /** @throws Error before {@link openedAs} */
  get media(): Handle {
    if (!this.#media) throw new Error('The media of the device are not open.');
    return this.#media;
  }

  deliver(delivery: Delivery, levelling?: boolean): void {
    this.#delivery = delivery;
    this.#levelling = levelling;
    if (this.#media && !this.#goesOn) this.#setDelivery(this.#media);
  }

  watchLevels(isWatched: boolean): void {
    this.#isWatched = isWatched;
    this.#media?.watchLevels(isWatched);
  }

  /** The core ended the connection. */
  close(reason: EndReason): void {
    this.#identity = this.participant ?? this.#identity;
    this.#connection = undefined;
    this.endByCore(reason);
  }

  /** To be called once the device has asked to be connected to the core. */
  protected connectedBy(connection: AskedConnection): void {
    this.#identity = connection.participant;
    this.#connection = connection;
    this.#measured = connection;
    connection.admitted.catch((error: unknown) => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      this.#measured = undefined;
      this.refused(error);
    });
  }

  /** The core does not connect the device, which is to end. */
  protected abstract refused(error: unknown): void;

  /**
   * To be called with the device's handle in the media plane, which may still be opening.
   * @param goesOn the media have a delivery from an earlier gateway: it stays until {@link deliverAgain}
   */
  protected openedAs(media: Handle, goesOn = false): void {
    this.#media = media;
    this.#goesOn = goesOn;
    if (this.#isWatched) media.watchLevels(true);
    if (this.#delivery.length > 0 && !goesOn) this.#setDelivery(media);
  }

  /** All devices of the earlier gateway are connected to the core again: no stream is missing in deliveries any more. */
  deliverAgain(): void {
    if (!this.#goesOn || !this.#media) return;
    this.#goesOn = false;
    this.#setDelivery(this.#media);
  }

  /** A listener for the media plane. After the device's end it passes on statistics only: the last ones come then. */
  protected listener<Event extends DeviceMediaEvent | { readonly type: string }>(
    take: (event: Event) => void,
  ): MediaListener<Event> {
    return (event) => {
      if (!this.ended || event.type === 'statistics') take(event);
    };
  }

  /** Handles the events that devices of every kind get. */
  protected takeEvent(event: DeviceMediaEvent): void {
    switch (event.type) {
      case 'streams':
        this.streamsChanged(event.streams);
        return;
      case 'dtmf':
        this.digitHeard(event.digit, event.durationMs);
        return;
      case 'mediaLost':
        this.mediaLost(event.cause);
        return;
      case 'heard':
        this.heard();
        return;
      case 'speaking':
        this.#connection?.speaking(event.streamId, event.isSpeaking, event.levelDb);
        return;
      case 'levels':
        this.#connection?.levels(event.levels);
        return;
      case 'statistics':
        this.#statistics = event.statistics;
        if (event.statistics.quality) this.#connection?.measured(event.statistics.quality);
    }
  }

  /** The set of the device's streams changed without an offer of the device. */
  protected abstract streamsChanged(streams: readonly MediaStreamInfo[]): void;
  protected abstract mediaLost(cause: MediaLossCause): void;
  /** The device's media give the first sign of life, or the first after a silence. */
  protected abstract heard(): void;

  /** A DTMF digit came in the device's audio. */
  protected digitHeard(digit: string, durationMs: number): void {
    this.#connection?.dtmf(digit, durationMs);
  }

  /** Ends the device, unless it has ended. */
  protected end(reason: EndReason): void {
    if (this.ended) return;
    this.#endReason = reason;
    this.#identity = this.participant ?? this.#identity;
    this.#connection?.end(reason);
    this.#connection = undefined;
    this.onEnd(reason);
    void this.#closeMedia().then(() => {
      if (this.#statistics?.quality) this.#measured?.measured(this.#statistics.quality);
      this.onFreed(reason);
    });
  }

  /** The core ended the device. */
  protected endByCore(reason: EndReason): void {
    this.end(reason);
  }

  /** The device has ended; its media are closed next. */
  protected abstract onEnd(reason: EndReason): void;
  /** The device's media are closed. */
  protected onFreed(reason: EndReason): void {
    this.log.debug({ reason, ...this.#statistics }, 'The media are closed.');
  }

  /** The device's token belongs to this participant: log lines name it from now on, before the device is connected. */
  protected identifiedAs(participant: Participant): void {
    this.#identity = participant;
  }

  /** Ids for the log lines of the media plane. The session is left out because it may change. */
  protected get labels(): Readonly<Record<string, string>> {
    const { accountId: account = '', id: participantId = '' } = this.#identity ?? {};
    return { account, participantId, deviceId: this.info.externalId };
  }

  /** What the media plane's specs of all kinds of device have in common. */
  protected get spec() {
    const participant = this.participant ?? this.#identity;
    return {
      deviceId: this.info.id,
      sessionId: participant?.sessionId,
      labels: this.labels,
      // Levels are worth decoding what nobody hears where the application asked to be told who speaks.
      metersSpeech: participant?.events.includes('speaking') ?? false,
    };
  }

  /** `connectionId` is `device.id` in REST, and `deviceId` is its `externalId`. */
  #ids(): object {
    const participant = this.participant ?? this.#identity;
    return {
      account: participant?.accountId,
      participantId: participant?.id,
      sessionId: participant?.sessionId,
      connectionId: this.info.id,
      deviceId: this.info.externalId,
    };
  }

  #setDelivery(media: Handle): void {
    media
      .setDelivery(mediaDelivery(this.#delivery, this.#receivable, this.#levelling))
      .catch((error: unknown) => {
        this.log.error({ err: error }, 'The delivery could not be set.');
      });
  }

  async #closeMedia(): Promise<void> {
    try {
      await this.#media?.close();
    } catch (error) {
      this.log.error({ err: error }, 'The media could not be closed.');
    }
  }
}
