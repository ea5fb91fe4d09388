import type {
  Connection,
  Delivery,
  Device,
  DeviceCapabilities,
  DeviceInfo,
  EndReason,
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

/** A delivery in the media plane's words: of each stream, what the device can receive. */
function mediaDelivery(delivery: Delivery, receivable: readonly MediaKind[]): MediaDelivery[] {
  return delivery.flatMap(({ streamId, mediaTypes }) => {
    const kinds = mediaTypes.filter((kind) => receivable.includes(kind));
    return kinds.length > 0 ? [{ streamId, kinds }] : [];
  });
}

/**
 * What devices of every kind do alike between the core and their end in the media plane: they take deliveries from the
 * first moment on, tell the core what the plane says of them, and end once, from whichever side is first.
 */
export abstract class MediaDevice<Handle extends DeviceHandle> implements Device {
  readonly info: DeviceInfo;
  abstract readonly capabilities: DeviceCapabilities;
  /** Each of its lines says whose it is: of which participant, session, connection and device. */
  readonly log: Log;
  readonly #receivable: readonly MediaKind[];
  #identity: Participant | undefined;
  #media: Handle | undefined;
  #connection: Connection | undefined;
  #delivery: Delivery = [];
  #statistics: DeviceStatistics | undefined;
  #endReason: EndReason | undefined;

  protected constructor(options: {
    info: DeviceInfo;
    log: Log;
    /** The kinds of media that it can receive. */
    receivable: readonly MediaKind[];
  }) {
    this.info = options.info;
    this.log = withFields(options.log, () => this.#ids());
    this.#receivable = options.receivable;
  }

  get ended(): boolean {
    return this.#endReason !== undefined;
  }

  /** Absent until the end. */
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

  /** @throws Error before {@link openedAs} */
  get media(): Handle {
    if (!this.#media) throw new Error('The media of the device were not opened.');
    return this.#media;
  }

  deliver(delivery: Delivery): void {
    this.#delivery = delivery;
    if (this.#media) this.#setDelivery(this.#media);
  }

  /** The core ended the connection. */
  close(reason: EndReason): void {
    this.#identity = this.participant ?? this.#identity;
    this.#connection = undefined;
    this.endByCore(reason);
  }

  /** The device is connected to the core. */
  protected connectedBy(connection: Connection): void {
    this.#identity = connection.participant;
    this.#connection = connection;
  }

  /** The device has this end in the media plane, which may be opening still. */
  protected openedAs(media: Handle): void {
    this.#media = media;
    if (this.#delivery.length > 0) this.#setDelivery(media);
  }

  /** What is to listen to the media plane: after the device's end only its last figures count. */
  protected listener<Event extends DeviceMediaEvent | { readonly type: string }>(
    take: (event: Event) => void,
  ): MediaListener<Event> {
    return (event) => {
      if (!this.ended || event.type === 'statistics') take(event);
    };
  }

  /** Takes an event that devices of every kind get. */
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
      case 'statistics':
        this.#statistics = event.statistics;
    }
  }

  /** The set of the device's streams changed unasked. */
  protected abstract streamsChanged(streams: readonly MediaStreamInfo[]): void;
  protected abstract mediaLost(cause: MediaLossCause): void;
  /** A sign of life came after none. */
  protected abstract heard(): void;

  /** A digit was pressed, as its audio tells. */
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
    void this.#closeMedia().then(() => this.onFreed(reason));
  }

  /** Ends the device because the core says so. */
  protected endByCore(reason: EndReason): void {
    this.end(reason);
  }

  /** The device has ended; its media are about to be freed. */
  protected abstract onEnd(reason: EndReason): void;
  /** Nothing of the device is left in the media plane. */
  protected onFreed(reason: EndReason): void {
    this.log.debug({ reason, ...this.#statistics }, 'The media are closed.');
  }

  /** The token is of this participant; known to the log from here on. */
  protected identifiedAs(participant: Participant): void {
    this.#identity = participant;
  }

  /** For the log lines of the media plane, which knows no participants. The session may change: it is not among them. */
  protected get labels(): Readonly<Record<string, string>> {
    const { accountId: account = '', id: participantId = '' } = this.#identity ?? {};
    return { account, participantId, deviceId: this.info.externalId };
  }

  /** As the log calls them: REST's `device.id` is the connection's, and its `externalId` the device's own. */
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
    media.setDelivery(mediaDelivery(this.#delivery, this.#receivable)).catch((error: unknown) => {
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
