import type { BrowserDevice, DeviceContext } from '../device.js';
import type { PublishedTrack } from '../track.js';
import type { DeviceStatistics, OpenBrowserOptions, PublishOfferOptions } from '../types.js';
import type { FanoutTable } from './forward/fanout-table.js';
import { PublishConnection } from './publish/publish-connection.js';
import { SubscribeConnection } from './subscribe/subscribe-connection.js';
import type { PipeFactory } from './transport/pipe.js';

/** What all browsers of the plane share. */
export interface BrowserPeerResources {
  readonly pipes: PipeFactory;
  readonly fanouts: FanoutTable;
}

/** A browser's end in the media plane: one peer connection to publish, one to subscribe. */
export class BrowserPeer implements BrowserDevice {
  readonly #context: DeviceContext;
  readonly #publishing: PublishConnection;
  readonly #subscribing: SubscribeConnection;
  #lost = false;

  constructor(context: DeviceContext, options: OpenBrowserOptions, { pipes, fanouts }: BrowserPeerResources) {
    this.#context = context;
    const { deviceId } = context;
    this.#publishing = new PublishConnection({ pipes, cname: deviceId, onState: () => undefined });
    this.#subscribing = new SubscribeConnection({
      pipes,
      fanouts,
      revision: options.revision ?? Math.floor(Date.now() / 1000),
      layout: options.subscribeLayout ?? [],
      onOffer: (offer) => context.emit('subscribeOffer', { deviceId, ...offer }),
      onLost: () => this.#mediaLost(),
      log: context.options.log,
    });
  }

  async publish(options: PublishOfferOptions): Promise<string> {
    const answer = await this.#publishing.negotiate(options);
    this.#context.setStreams(this.#publishing.streams);
    return answer;
  }

  async answerSubscribe(sdpAnswer: string): Promise<void> {
    this.#subscribing.answer(sdpAnswer);
    return Promise.resolve();
  }

  async resume(): Promise<void> {
    this.#subscribing.resume();
    return Promise.resolve();
  }

  setTracks(tracks: readonly PublishedTrack[]): void {
    this.#subscribing.setTracks(tracks);
  }

  statistics(): DeviceStatistics {
    const { received, packetsLost, jitterMs } = this.#publishing;
    const { sent } = this.#subscribing;
    return {
      packetsReceived: received.packets,
      bytesReceived: received.bytes,
      packetsSent: sent.packets,
      bytesSent: sent.bytes,
      packetsLost,
      jitterMs,
    };
  }

  async close(): Promise<void> {
    this.#lost = true;
    this.#subscribing.close();
    this.#publishing.close();
    return Promise.resolve();
  }

  #mediaLost(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#context.emit('mediaLost', { deviceId: this.#context.deviceId, cause: 'transport' });
  }
}
