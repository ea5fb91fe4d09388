import nodeDataChannel from 'node-datachannel';
import type { PeerConnection, Track } from 'node-datachannel';
import { PIPE_MID, readPipeSdp, writePipeSdp } from '../../src/media/webrtc/transport/pipe-sdp.js';
import type { TransportDescription } from '../../src/media/webrtc/transport/pipe.js';

/**
 * A browser's end of a connection. Without a listener, packets are decrypted and dropped inside of the library:
 * most subscribers of a load do that, or the load would cost several times the gateway.
 */
export class LoadPipe {
  readonly #connection: PeerConnection;
  readonly #onPacket: ((packet: Buffer) => void) | undefined;
  readonly #connected: Promise<void>;
  #track: Track | undefined;

  constructor(onPacket?: (packet: Buffer) => void) {
    this.#onPacket = onPacket;
    this.#connection = new nodeDataChannel.PeerConnection('load', {
      iceServers: [],
      bindAddress: '127.0.0.1',
      disableAutoNegotiation: true,
      forceMediaTransport: true,
    });
    this.#connected = new Promise((resolve, reject) =>
      this.#connection.onStateChange((state) => {
        if (state === 'connected') resolve();
        if (state === 'failed') reject(new Error('A load connection failed.'));
      }),
    );
    this.#connected.catch(() => undefined);
  }

  get connected(): Promise<void> {
    return this.#connected;
  }

  async offer(): Promise<TransportDescription> {
    const media = new nodeDataChannel.Audio(PIPE_MID, 'SendRecv');
    media.addOpusCodec(111);
    this.#use(this.#connection.addTrack(media));
    return this.#describe('offer');
  }

  accept(answer: string): void {
    this.#connection.setRemoteDescription(writePipeSdp(readPipeSdp(answer), false), 'answer');
  }

  async answer(offer: string): Promise<TransportDescription> {
    const track = new Promise<Track>((resolve) => this.#connection.onTrack(resolve));
    this.#connection.setRemoteDescription(writePipeSdp(readPipeSdp(offer), false), 'offer');
    this.#use(await track);
    return this.#describe('answer');
  }

  send(packet: Buffer): void {
    this.#track?.sendMessageBinary(packet);
  }

  close(): void {
    this.#connection.close();
  }

  #use(track: Track): void {
    this.#track = track;
    if (this.#onPacket) track.onMessage(this.#onPacket);
  }

  async #describe(type: 'offer' | 'answer'): Promise<TransportDescription> {
    const gathered = new Promise<void>((resolve) =>
      this.#connection.onGatheringStateChange((state) => {
        if (state === 'complete') resolve();
      }),
    );
    this.#connection.setLocalDescription(type);
    await gathered;
    return readPipeSdp(this.#connection.localDescription()!.sdp);
  }
}
