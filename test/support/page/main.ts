/** Drives an unmodified client in the page. The client's bundle has put its class on `window` before. */
import type { PublishRequest, ReceivedStream, StreamEvent, TestPageApi } from './api.js';
import { chooseCodecs, encodableVideo, preferVideo, refuseVideo, sendLayers, sendSources } from './codecs.js';
import {
  floodChannel,
  openChannels,
  peerStates,
  receivedCounters,
  reportPublishFailed,
  restartIce,
  sentLayers,
  sentVideo,
  watchPeers,
} from './peers.js';
import { busyTrack, paint, pictureTrack, shown, stillTrack } from './pictures.js';
import { fallSilent, ToneMeter, toneTrack } from './tones.js';

/** The part of the client's `RtcStream` that the page reads. */
interface ClientStream {
  endpointId: string;
  mediaStream: MediaStream;
  mediaTypes: string[];
  alias?: string;
  participantId?: string;
}

interface Client {
  connect(auth: { deviceToken: string }, options: object): Promise<void>;
  disconnect(): void;
  onStreamAvailable(handler: (stream: ClientStream) => void): void;
  onStreamUnavailable(handler: (streamId: string) => void): void;
  publish(stream: MediaStream, levels: undefined, alias?: string): Promise<ClientStream>;
  unpublish(...streamIds: string[]): Promise<void>;
  sendDtmf(digits: string, streamId?: string): void;
}

declare global {
  var BandwidthRtc: new (logLevel?: string) => Client;
  var patchbayTest: TestPageApi;
}

/** Wide enough for several layers. */
const LARGE = { width: 1280, height: 720 };

watchPeers();
chooseCodecs();

/** A received stream, with its player and its tone meter. */
interface Received {
  readonly stream: ClientStream;
  readonly player: HTMLVideoElement;
  readonly meter: ToneMeter | undefined;
}

const client = new globalThis.BandwidthRtc('debug');
const events: StreamEvent[] = [];
const received = new Map<string, Received>();

client.onStreamAvailable((stream) => {
  events.push({ type: 'available', streamId: stream.endpointId });
  forget(stream.endpointId);
  const audible = stream.mediaStream.getAudioTracks().length > 0;
  received.set(stream.endpointId, {
    stream,
    player: play(stream.mediaStream),
    meter: audible ? new ToneMeter(stream.mediaStream) : undefined,
  });
});

client.onStreamUnavailable((streamId) => {
  events.push({ type: 'unavailable', streamId });
  forget(streamId);
});

/** Plays a stream silently. Without a player, frames are not decoded and remote audio does not reach Web Audio. */
function play(stream: MediaStream): HTMLVideoElement {
  const player = document.createElement('video');
  player.muted = true;
  player.srcObject = stream;
  document.body.append(player);
  void player.play().catch(() => undefined);
  return player;
}

function forget(streamId: string): void {
  const entry = received.get(streamId);
  if (!entry) return;
  entry.meter?.close();
  entry.player.srcObject = null;
  entry.player.remove();
  received.delete(streamId);
}

function media(request: PublishRequest): MediaStream {
  const tracks: MediaStreamTrack[] = [];
  if (request.toneHz !== undefined) tracks.push(toneTrack(request.toneHz, request.syllables === true));
  if (request.video === true) tracks.push(pictureTrack(request.large === true ? LARGE : undefined));
  if (request.busy === true) tracks.push(busyTrack());
  if (request.still === true) tracks.push(stillTrack());
  return new MediaStream(tracks);
}

const named = (stream: ClientStream): { participantId?: string; alias?: string } => ({
  ...(stream.participantId === undefined ? {} : { participantId: stream.participantId }),
  ...(stream.alias === undefined ? {} : { alias: stream.alias }),
});

function describe({ stream }: { stream: ClientStream }): ReceivedStream {
  return {
    streamId: stream.endpointId,
    ...named(stream),
    mediaTypes: stream.mediaTypes,
    kinds: stream.mediaStream.getTracks().map((track) => track.kind),
  };
}

const used: { token?: string; websocketUrl?: string; mediaStream?: MediaStream } = {};

globalThis.patchbayTest = {
  connect({ token, gatewayUrl, ...ice }) {
    Object.assign(used, { token, websocketUrl: gatewayUrl });
    return client.connect({ deviceToken: token }, { websocketUrl: gatewayUrl, ...ice });
  },
  async publish(request) {
    sendLayers(request.layers);
    sendSources(request.sources);
    used.mediaStream = media(request);
    const stream = await client.publish(used.mediaStream, undefined, request.alias);
    return {
      streamId: stream.endpointId,
      mediaTypes: stream.mediaTypes,
      ...(stream.alias === undefined ? {} : { alias: stream.alias }),
    };
  },
  async runDocumented(code, now) {
    // The page is a user's page here, whose script this is.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    const make = new Function(
      'client',
      'token',
      'websocketUrl',
      'mediaStream',
      `${code}; return connectAnew;`,
    ) as (...args: unknown[]) => () => Promise<void>;
    const connectAnew = make(client, used.token, used.websocketUrl, used.mediaStream);
    if (now) await connectAnew();
  },
  fallSilent() {
    fallSilent();
    return Promise.resolve();
  },
  unpublish: (streamId) => client.unpublish(...(streamId === undefined ? [] : [streamId])),
  disconnect() {
    client.disconnect();
    return Promise.resolve();
  },
  sendDtmf(digits, streamId) {
    client.sendDtmf(digits, streamId);
    return Promise.resolve();
  },
  streams: () => Promise.resolve([...received.values()].map(describe)),
  events: () => Promise.resolve(events),
  tone: (hz) =>
    Promise.resolve(
      [...received.values()].flatMap(({ stream, meter }) =>
        meter ? [{ streamId: stream.endpointId, ...named(stream), ...meter.measure(hz) }] : [],
      ),
    ),
  async counters(streamId) {
    const entry = received.get(streamId);
    return entry ? receivedCounters(entry.stream.mediaStream) : {};
  },
  peers: peerStates,
  sentLayers,
  sentVideo,
  paint,
  shown(streamId) {
    const entry = received.get(streamId);
    return Promise.resolve(entry && shown(entry.player));
  },
  restartIce: () => {
    restartIce();
    return Promise.resolve();
  },
  reportPublishFailed: () => {
    reportPublishFailed();
    return Promise.resolve();
  },
  encodableVideo: () => Promise.resolve(encodableVideo()),
  preferVideo(codec) {
    preferVideo(codec);
    return Promise.resolve();
  },
  refuseVideo(codec) {
    refuseVideo(codec);
    return Promise.resolve();
  },
  floodChannel,
  openChannels: () => Promise.resolve(openChannels()),
};
