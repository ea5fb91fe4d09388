import type { Endpoint, EndpointContext, LiveStream } from '../endpoint.js';
import { directionQuality } from '../quality/index.js';
import type { PublishedTrack } from '../track.js';
import type { BrowserMediaEvent } from '../door.js';
import type {
  BrowserSpec,
  DeviceStatistics,
  OmittedMediaTrack,
  PublishAnswer,
  PublishOfferOptions,
  RefusedTrack,
  StreamLevelInfo,
} from '../types.js';
import type { FanoutTable } from './forward/fanout.js';
import { Liveness } from './liveness.js';
import { PublishConnection } from './publish/publish-connection.js';
import { SubscribeConnection } from './subscribe/subscribe-connection.js';
import type { TransportFactory } from './transport/transport.js';

/** What all browsers of the plane share. */
interface BrowserEndpointResources {
  readonly transports: TransportFactory;
  readonly fanouts: FanoutTable;
  /** A report of a browser could not be true. */
  readonly onReportIgnored: () => void;
}

/** A browser's end in the media plane: one peer connection to publish, one to subscribe. */
export class BrowserEndpoint implements Endpoint {
  readonly #context: EndpointContext<BrowserMediaEvent>;
  readonly #publishing: PublishConnection;
  readonly #subscribing: SubscribeConnection;
  readonly #liveness: Liveness;
  #notSent: readonly OmittedMediaTrack[] = [];
  #notTaken: readonly OmittedMediaTrack[] = [];

  constructor(
    context: EndpointContext<BrowserMediaEvent>,
    spec: BrowserSpec,
    { transports, fanouts, onReportIgnored }: BrowserEndpointResources,
  ) {
    this.#context = context;
    const { deviceId, log } = context;
    const onHeard = (): void => this.#liveness.heard();
    const onAbuse = (): void => context.emit({ type: 'mediaLost', cause: 'abuse' });
    this.#liveness = new Liveness({
      expected: () => this.#publishing.open,
      onSilent: () => context.emit({ type: 'mediaLost', cause: 'transport' }),
      onQuiet: (silentMs) => context.emit({ type: 'silent', silentMs }),
      onHeardAgain: () => context.emit({ type: 'heard' }),
    });
    this.#publishing = new PublishConnection({
      transports,
      opusDtx: context.options.opusDtx ?? false,
      cname: deviceId,
      onHeard,
      onAbuse,
      onDigit: (digit, durationMs) => context.emit({ type: 'dtmf', digit, durationMs }),
      onSpeaking: (streamId, isSpeaking, levelDb) =>
        context.emit({ type: 'speaking', streamId, isSpeaking, levelDb }),
      metersSpeech: context.metersSpeech,
      inherited: spec.revision !== undefined,
      onStuck: () =>
        log.warn(
          {},
          'Firefox asked for another path to publish on, but cannot use one: its page must connect again',
        ),
      onStreams: () => context.setStreams(this.#publishing.streams),
    });
    this.#subscribing = new SubscribeConnection({
      transports,
      fanouts,
      onReportIgnored,
      revision: spec.revision ?? Math.floor(Date.now() / 1000),
      layout: spec.subscribeLayout ?? [],
      onOmitted: (tracks) => {
        log.info({ tracks }, 'Tracks left out of an offer');
        context.emit({ type: 'tracksOmitted', tracks });
        this.#notSent = tracks;
        this.#tellOmitted();
      },
      onOffer: (offer) => context.emit({ type: 'subscribeOffer', offer }),
      onHeard,
      onGone: () => this.#liveness.suspect(),
      onAbuse,
      log,
    });
  }

  /** Answers an offer, after a call of `EndpointContext.setStreams`. */
  async publish(offer: PublishOfferOptions): Promise<Omit<PublishAnswer, 'streams'>> {
    const sdpAnswer = await this.#publishing.negotiate(offer);
    const { refused, streams } = this.#publishing;
    this.#context.setStreams(streams);
    const { log } = this.#context;
    if (refused.length > 0) log.info({ tracks: refused }, 'Tracks of a publish offer were not taken');
    if (refused.length > 0 || this.#notTaken.length > 0) {
      this.#notTaken = refused.map((track) => asOmitted(track, streams));
      this.#tellOmitted();
    }
    return { sdpAnswer, refused };
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
      quality: {
        // Both ways cross the same network; round trips are measured on the one where we send.
        received: directionQuality(this.#publishing.audioFigures(this.#subscribing.roundTripMs)),
        sent: directionQuality(this.#subscribing.audioFigures),
      },
    };
  }

  takeLevels(): StreamLevelInfo[] {
    return this.#publishing.takeLevels();
  }

  #tellOmitted(): void {
    const tracks = [...this.#notSent, ...this.#notTaken];
    this.#publishing.sendDiagnostics(inMessages(tracks).map((tracksOmitted) => ({ tracksOmitted })));
  }

  async close(): Promise<void> {
    this.#liveness.stop();
    this.#subscribing.close();
    this.#publishing.close();
    return Promise.resolve();
  }
}

/** A page's stream id that is short enough for a data channel message. */
const SHORT_ID = /^[\w{}-]{1,64}$/;

/** Names the stream by the id that others see, or by the page's own when nothing of it is published. */
function asOmitted(
  { publisherMsid, kind, reason }: RefusedTrack,
  streams: readonly LiveStream[],
): OmittedMediaTrack {
  const live = streams.find((stream) => stream.publisherMsid === publisherMsid);
  const own = publisherMsid !== undefined && SHORT_ID.test(publisherMsid) ? publisherMsid : '-';
  return { streamId: publisherMsid === undefined ? '-' : (live?.streamId ?? own), kind, reason };
}

/** Tracks in one diagnostics message, few enough for a data channel message. */
const TRACKS_TOLD = 4;

function inMessages(tracks: readonly OmittedMediaTrack[]): OmittedMediaTrack[][] {
  const groups: OmittedMediaTrack[][] = [];
  for (let at = 0; at < tracks.length || at === 0; at += TRACKS_TOLD)
    groups.push(tracks.slice(at, at + TRACKS_TOLD));
  return groups;
}
