import type { Delivery } from '../../core/index.js';
import type { BrowserHandle, SubscribeOffer } from '../../media/index.js';
import type { Log } from '../../shared/index.js';
import type { Resumption } from './resumption.js';
import { ReceivedStreams } from './stream-metadata.js';

/** What one browser receives: passes the media plane's offers to the page, and the page's answers back. */
export class Subscribing {
  readonly #deviceId: string;
  readonly #media: () => BrowserHandle;
  readonly #log: Log;
  readonly #notify: (method: string, params: object) => void;
  readonly #resumption: Resumption;
  readonly #received = new ReceivedStreams();
  /** The offer to make next. */
  #held: SubscribeOffer | undefined;
  #offering = false;

  constructor(options: {
    deviceId: string;
    media: () => BrowserHandle;
    log: Log;
    notify: (method: string, params: object) => void;
    resumption: Resumption;
  }) {
    this.#deviceId = options.deviceId;
    this.#media = options.media;
    this.#log = options.log;
    this.#notify = options.notify;
    this.#resumption = options.resumption;
  }

  /** Offers will have these streams. */
  deliver(delivery: Delivery): void {
    this.#received.deliver(delivery);
  }

  ready(): void {
    if (this.#resumption.begun) return;
    this.#resumption.begin();
    void this.#offerHeld();
  }

  /** An offer of the media plane, in place of any before it. */
  offer(offer: SubscribeOffer): void {
    this.#held = offer;
    void this.#offerHeld();
  }

  answer(sdpAnswer: string): void {
    this.#media()
      .answerSubscribe(sdpAnswer)
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'a subscribe answer was refused');
      });
  }

  /** A new socket: offers that went down with the old one are made again. */
  resume(): void {
    this.#media()
      .resume()
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'a browser could not be resumed');
      });
  }

  /** Makes the newest offer once it is kept; one that comes meanwhile takes its place. */
  async #offerHeld(): Promise<void> {
    if (this.#offering || !this.#resumption.begun) return;
    this.#offering = true;
    while (this.#held) {
      const offer = this.#held;
      await this.#keep(offer);
      if (offer === this.#held) this.#send(offer);
    }
    this.#offering = false;
  }

  async #keep(offer: SubscribeOffer): Promise<void> {
    try {
      await this.#resumption.offered(offer);
    } catch (error) {
      // The page is served all the same; it is the next restart that may fail it.
      this.#log.error({ err: error }, 'an offer could not be kept');
    }
  }

  #send({ sdpOffer, revision, streams }: SubscribeOffer): void {
    this.#held = undefined;
    this.#notify('sdpOffer', {
      endpointId: this.#deviceId,
      sdpOffer,
      sdpRevision: revision,
      streamMetadata: this.#received.metadata(streams),
    });
  }
}
