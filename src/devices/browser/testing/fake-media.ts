import { EventEmitter } from 'node:events';
import {
  type DeviceStatistics,
  type MediaCounters,
  type MediaDelivery,
  MediaError,
  type MediaEvents,
  type MediaLoad,
  type MediaPlane,
  type MediaStreamInfo,
  type OpenBrowserOptions,
  type PublishAnswer,
  type PublishOfferOptions,
  type RefusedTrack,
} from '../../../media/types.js';

const NO_PHONES = 'The fake media plane has no phones.';

/** A media plane that writes down what it is told, and says what the test makes it say. */
export class FakeMedia extends EventEmitter<MediaEvents> implements MediaPlane {
  readonly opened: OpenBrowserOptions[] = [];
  readonly offers: PublishOfferOptions[] = [];
  readonly answers: string[] = [];
  readonly resumed: string[] = [];
  readonly closed: string[] = [];
  readonly deliveries: MediaDelivery[][] = [];
  /** What the next offers publish. */
  streams: readonly MediaStreamInfo[] = [];
  /** What the next offers have and is not taken. */
  refused: readonly RefusedTrack[] = [];
  /** Set: offers are refused with this. */
  refusal: MediaError | undefined;
  /** Offers are answered when this is. */
  held: Promise<void> = Promise.resolve();
  silentMs: number | undefined;

  openBrowser(options: OpenBrowserOptions): Promise<void> {
    this.opened.push(options);
    return Promise.resolve();
  }

  async publish(_deviceId: string, options: PublishOfferOptions): Promise<PublishAnswer> {
    this.offers.push(options);
    if (this.refusal) throw this.refusal;
    await this.held;
    return { sdpAnswer: `answer to ${options.sdpOffer}`, streams: this.streams, refused: this.refused };
  }

  answerSubscribe(_deviceId: string, sdpAnswer: string): Promise<void> {
    this.answers.push(sdpAnswer);
    return Promise.resolve();
  }

  resumeBrowser(deviceId: string): Promise<void> {
    this.resumed.push(deviceId);
    return Promise.resolve();
  }

  setDelivery(_deviceId: string, delivery: readonly MediaDelivery[]): Promise<void> {
    this.deliveries.push([...delivery]);
    return Promise.resolve();
  }

  statistics(): Promise<DeviceStatistics> {
    return Promise.resolve({
      packetsReceived: 0,
      bytesReceived: 0,
      packetsSent: 0,
      bytesSent: 0,
      packetsLost: 0,
      jitterMs: 0,
      ...(this.silentMs === undefined ? {} : { silentMs: this.silentMs }),
    });
  }

  load(): MediaLoad {
    return { mixLatenessMs: 0, framesSkipped: 0, mixBusyMs: 0 };
  }

  counters(): MediaCounters {
    return { strangers: 0, framesWithheld: 0 };
  }

  close(deviceId: string): Promise<void> {
    this.closed.push(deviceId);
    return Promise.resolve();
  }

  openPhone = (): Promise<never> => Promise.reject(new MediaError('INVALID_STATE', NO_PHONES));
  answerPhone = (): Promise<never> => Promise.reject(new MediaError('INVALID_STATE', NO_PHONES));
  updatePhone = (): Promise<never> => Promise.reject(new MediaError('INVALID_STATE', NO_PHONES));
  confirmPhone = (): Promise<never> => Promise.reject(new MediaError('INVALID_STATE', NO_PHONES));
  sendDtmf = (): Promise<never> => Promise.reject(new MediaError('INVALID_STATE', NO_PHONES));
  stop = (): Promise<void> => Promise.resolve();
}
