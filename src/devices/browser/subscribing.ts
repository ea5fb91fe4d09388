import type { Delivery } from '../../core/index.js';
import type { BrowserHandle, SubscribeOffer } from '../../media/index.js';
import type { Log } from '../../shared/index.js';
import type { Resumption } from './resumption.js';
import { ReceivedStreams } from './stream-metadata.js';

/** What one browser receives: passes the media plane's offers to the page and its answers back. */
export class Subscribing {
  readonly #deviceId: string;
  readonly #media: () => BrowserHandle;
  readonly #log: Log;
  readonly #notify: (method: string, params: object) => void;
  readonly #resumption: Resumption;
  readonly #received = new ReceivedStreams();
  /** The next offer to send. */
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

  /** Later offers have these streams. */
  deliver(delivery: Delivery): void {
    this.#received.deliver(delivery);
  }

  ready(): void {
    if (this.#resumption.begun) return;
    this.#resumption.begin();
    void this.#offerHeld();
  }

  /** The media plane made an offer. It replaces one that was not sent yet. */
  offer(offer: SubscribeOffer): void {
    this.#held = offer;
    void this.#offerHeld();
  }

  answer(sdpAnswer: string): void {
    this.#media()
      .answerSubscribe(sdpAnswer)
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'a subscribe answer could not be used');
      });
  }

  /** There is a new socket: an offer that was lost with the old one is made again. */
  resume(): void {
    this.#media()
      .resume()
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'a browser could not be resumed');
      });
  }

  /** Sends the newest offer once its m-lines are saved. An offer that comes meanwhile replaces it. */
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
      // The offer is sent anyway: only a restart of the gateway could break this page.
      this.#log.error({ err: error }, 'the m-lines of an offer could not be saved');
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
