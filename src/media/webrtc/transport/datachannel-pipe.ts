import nodeDataChannel from 'node-datachannel';
import type { DataChannel, PeerConnection, RtcConfig, Track } from 'node-datachannel';
import { MediaError } from '../../types.js';
import type { MediaLog } from '../../types.js';
import { Heartbeat } from './heartbeat.js';
import type {
  OfferedPipe,
  Pipe,
  PipeFactory,
  PipeHandlers,
  PipeState,
  TransportDescription,
} from './pipe.js';
import { PIPE_MID, PIPE_PAYLOAD_TYPE, readPipeSdp, writePipeSdp } from './pipe-sdp.js';

/** Host candidates are gathered in milliseconds; more means that the library is stuck. */
const GATHERING_TIMEOUT_MS = 5_000;
/** Larger than any SDP-negotiated media packet; also bounds what a data channel message may cost. */
const MAX_DATA_MESSAGE = 262_144;

export interface DataChannelPipesOptions {
  readonly host: string;
  /** The one UDP port of all pipes. */
  readonly port: number;
  readonly publicIp?: string;
  readonly log: MediaLog;
}

/** Pipes over node-datachannel, all on one UDP port. */
export class DataChannelPipes implements PipeFactory {
  readonly #options: DataChannelPipesOptions;
  /** The library's wrappers close their connection when they are collected: hold them. */
  readonly #pipes = new Set<DataChannelPipe>();

  constructor(options: DataChannelPipesOptions) {
    this.#options = options;
  }

  async offer(handlers: PipeHandlers): Promise<OfferedPipe> {
    const pipe = this.#create(handlers);
    return this.#opened(pipe, () => pipe.offer());
  }

  async answer(remote: TransportDescription, withData: boolean, handlers: PipeHandlers): Promise<Pipe> {
    const pipe = this.#create(handlers);
    return this.#opened(pipe, () => pipe.answer(remote, withData));
  }

  async stop(): Promise<void> {
    for (const pipe of [...this.#pipes]) pipe.close();
    return Promise.resolve();
  }

  #create(handlers: PipeHandlers): DataChannelPipe {
    const { host, port, publicIp } = this.#options;
    const config: RtcConfig = {
      iceServers: [],
      bindAddress: host,
      enableIceUdpMux: true,
      portRangeBegin: port,
      portRangeEnd: port,
      disableAutoNegotiation: true,
      forceMediaTransport: true,
      maxMessageSize: MAX_DATA_MESSAGE,
    };
    const pipe = new DataChannelPipe(config, publicIp, handlers, () => this.#pipes.delete(pipe));
    this.#pipes.add(pipe);
    return pipe;
  }

  async #opened(pipe: DataChannelPipe, open: () => Promise<void>): Promise<DataChannelPipe> {
    try {
      await open();
      return pipe;
    } catch (error) {
      pipe.close();
      this.#options.log.warn({ err: error }, 'A WebRTC transport did not open');
      if (error instanceof MediaError) throw error;
      throw new MediaError('BAD_SDP', 'The transport parameters of the SDP are not usable.', {
        cause: error,
      });
    }
  }
}

class DataChannelPipe implements OfferedPipe {
  readonly #connection: PeerConnection;
  readonly #publicIp: string | undefined;
  readonly #onClosed: () => void;
  #handlers: PipeHandlers | undefined;
  #track: Track | undefined;
  #channels: DataChannel[] = [];
  #heartbeat: Heartbeat | undefined;
  #local: TransportDescription | undefined;
  #state: PipeState = 'connecting';

  constructor(config: RtcConfig, publicIp: string | undefined, handlers: PipeHandlers, onClosed: () => void) {
    this.#publicIp = publicIp;
    this.#handlers = handlers;
    this.#onClosed = onClosed;
    this.#connection = new nodeDataChannel.PeerConnection('pipe', config);
    this.#connection.onStateChange((state) => this.#stateChanged(state));
  }

  get local(): TransportDescription {
    if (!this.#local) throw new MediaError('INVALID_STATE', 'The transport is not open.');
    return this.#local;
  }

  get hasData(): boolean {
    return this.#channels.length > 0;
  }

  get state(): PipeState {
    return this.#state;
  }

  async offer(): Promise<void> {
    const media = new nodeDataChannel.Audio(PIPE_MID, 'SendRecv');
    media.addOpusCodec(PIPE_PAYLOAD_TYPE);
    this.#use(this.#connection.addTrack(media));
    await this.#describe('offer');
  }

  accept(remote: TransportDescription): void {
    try {
      this.#connection.setRemoteDescription(writePipeSdp(remote, false), 'answer');
    } catch (error) {
      throw new MediaError('BAD_SDP', 'The transport parameters of the SDP are not usable.', {
        cause: error,
      });
    }
  }

  async answer(remote: TransportDescription, withData: boolean): Promise<void> {
    const track = new Promise<Track>((resolve) => this.#connection.onTrack(resolve));
    this.#connection.setRemoteDescription(writePipeSdp(remote, withData), 'offer');
    if (withData) this.#openChannels();
    this.#use(await within(track, 'The transport made no track.'));
    await this.#describe('answer');
  }

  send(packet: Buffer): boolean {
    if (this.#state !== 'connected' || !this.#track) return false;
    try {
      return this.#track.sendMessageBinary(packet);
    } catch {
      // The library throws when the connection has just gone; its state change follows.
      return false;
    }
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#handlers = undefined;
    this.#heartbeat?.stop();
    this.#connection.close();
    this.#onClosed();
  }

  #use(track: Track): void {
    this.#track = track;
    track.onMessage((packet) => this.#handlers?.onPacket(packet));
  }

  /** The two negotiated channels of the clients (no in-band open). */
  #openChannels(): void {
    const open = (label: string, id: number): DataChannel =>
      this.#connection.createDataChannel(label, { negotiated: true, id, protocol: 'udp' });
    const heartbeat = open('__heartbeat__', 0);
    this.#channels = [heartbeat, open('__diagnostics__', 1)];
    this.#heartbeat = new Heartbeat(heartbeat, () => this.#handlers?.onHeartbeat());
  }

  async #describe(type: 'offer' | 'answer'): Promise<void> {
    const gathered = new Promise<void>((resolve) =>
      this.#connection.onGatheringStateChange((state) => {
        if (state === 'complete') resolve();
      }),
    );
    this.#connection.setLocalDescription(type);
    await within(gathered, 'The transport gathered no candidates.');
    const description = this.#connection.localDescription();
    if (!description) throw new MediaError('INVALID_STATE', 'The transport gave no description.');
    this.#local = readPipeSdp(description.sdp, this.#publicIp);
  }

  #stateChanged(state: string): void {
    if (this.#state === 'closed') return;
    const next = pipeState(state);
    if (next === this.#state) return;
    this.#state = next;
    this.#handlers?.onState(next);
  }
}

function pipeState(state: string): PipeState {
  switch (state) {
    case 'connected':
    case 'disconnected':
    case 'failed':
      return state;
    case 'closed':
      // Closed by the other end (DTLS close_notify): as dead as failed, but the object is still ours to close.
      return 'failed';
    default:
      return 'connecting';
  }
}

async function within<T>(promise: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MediaError('INVALID_STATE', message)), GATHERING_TIMEOUT_MS);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
