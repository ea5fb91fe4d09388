import type { Connection, Delivery } from '../core/index.js';
import type { MediaPlane, SubscribeOffer } from '../media/types.js';
import type { BrowserLog } from './log.js';
import { mediaDelivery, ReceivedStreams } from './stream-metadata.js';

/** What one browser receives: passes deliveries to the media plane and its offers to the page. */
export class Subscribing {
  readonly #deviceId: string;
  readonly #media: MediaPlane;
  readonly #log: BrowserLog;
  readonly #notify: (method: string, params: object) => void;
  readonly #received = new ReceivedStreams();
  #connection: Connection | undefined;
  #delivery: Delivery = [];
  #open = false;
  /** The page can take offers: it has set its media preferences, now or before a restart of ours. */
  #ready: boolean;
  #held: SubscribeOffer | undefined;

  constructor(options: {
    deviceId: string;
    media: MediaPlane;
    log: BrowserLog;
    notify: (method: string, params: object) => void;
    ready: boolean;
  }) {
    this.#deviceId = options.deviceId;
    this.#media = options.media;
    this.#log = options.log;
    this.#notify = options.notify;
    this.#ready = options.ready;
  }

  deliver(delivery: Delivery): void {
    this.#delivery = delivery;
    this.#received.deliver(delivery);
    if (this.#open) this.#setDelivery();
  }

  /** The device is open in the media plane; what was delivered meanwhile takes effect. */
  opened(connection: Connection): void {
    this.#connection = connection;
    this.#open = true;
    if (this.#delivery.length > 0) this.#setDelivery();
  }

  ready(): void {
    if (this.#ready) return;
    this.#ready = true;
    // From now on a restarted gateway can serve the page, which will not say that it is ready again.
    this.#connection?.saveResumePoint({
      layout: this.#held?.layout ?? [],
      revision: this.#held?.revision ?? 0,
    });
    if (this.#held) this.#send(this.#held);
  }

  /** An offer of the media plane, in place of any before it. */
  offer(offer: SubscribeOffer): void {
    if (this.#ready) this.#send(offer);
    else this.#held = offer;
  }

  answer(sdpAnswer: string): void {
    this.#media.answerSubscribe(this.#deviceId, sdpAnswer).catch((error: unknown) => {
      this.#log.warn({ err: error, deviceId: this.#deviceId }, 'a subscribe answer was refused');
    });
  }

  /** A new socket: offers that went down with the old one are made again. */
  resume(): void {
    if (!this.#open) return;
    this.#media.resumeBrowser(this.#deviceId).catch((error: unknown) => {
      this.#log.warn({ err: error, deviceId: this.#deviceId }, 'a browser could not be resumed');
    });
  }

  #send({ sdpOffer, revision, layout, streams }: SubscribeOffer): void {
    this.#held = undefined;
    // Kept before it is sent: a page that took the offer must find a restarted gateway knowing its layout.
    this.#connection?.saveResumePoint({ layout, revision });
    this.#notify('sdpOffer', {
      endpointId: this.#deviceId,
      sdpOffer,
      sdpRevision: revision,
      streamMetadata: this.#received.metadata(streams),
    });
  }

  #setDelivery(): void {
    this.#media.setDelivery(this.#deviceId, mediaDelivery(this.#delivery)).catch((error: unknown) => {
      this.#log.warn({ err: error, deviceId: this.#deviceId }, 'a delivery could not be set');
    });
  }
}
