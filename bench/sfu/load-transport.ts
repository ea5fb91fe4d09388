import nodeDataChannel from 'node-datachannel';
import type { PeerConnection, Track } from 'node-datachannel';
import { writeRtcpReport } from '../../src/media/rtp/index.js';
import { MEDIA_MID, writeTransportSdp } from '../../src/media/browser/transport/datachannel-transport.js';
import type { TransportDescription } from '../../src/media/browser/transport/transport.js';
import { readTransport } from './load-sdp.js';

const REPORT_INTERVAL_MS = 2_000;
const EMPTY_REPORT = writeRtcpReport({ ssrc: 1, blocks: [], cname: 'load' });

/**
 * A browser's end of a connection. Without a listener the library decrypts packets and drops them: most subscribers of a
 * load do that, since the load would otherwise need several times the gateway's processor time.
 */
export class LoadTransport {
  readonly #connection: PeerConnection;
  readonly #onPacket: ((packet: Buffer) => void) | undefined;
  readonly #connected: Promise<void>;
  #track: Track | undefined;
  #reports: NodeJS.Timeout | undefined;

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
    const media = new nodeDataChannel.Audio(MEDIA_MID, 'SendRecv');
    media.addOpusCodec(111);
    this.#use(this.#connection.addTrack(media));
    return this.#describe('offer');
  }

  accept(answer: string): void {
    this.#connection.setRemoteDescription(writeTransportSdp(readTransport(answer)), 'answer');
  }

  async answer(offer: string): Promise<TransportDescription> {
    const track = new Promise<Track>((resolve) => this.#connection.onTrack(resolve));
    this.#connection.setRemoteDescription(writeTransportSdp(readTransport(offer)), 'offer');
    this.#use(await track);
    return this.#describe('answer');
  }

  send(packet: Buffer): void {
    if (this.#track?.isOpen() === true) this.#track.sendMessageBinary(packet);
  }

  /** Sends a receiver report, as browsers do every few seconds: the gateway takes a silent one for dead. */
  report(): void {
    this.#reports = setInterval(() => this.send(EMPTY_REPORT), REPORT_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#reports);
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
    return readTransport(this.#connection.localDescription()!.sdp);
  }
}
