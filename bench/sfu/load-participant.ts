import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { LoadTransport } from './load-transport.js';
import type { LoadSources } from './load-sdp.js';
import { publishOffer, subscribeAnswer } from './load-sdp.js';

interface RpcMessage {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sdpOffer: string };
  readonly result?: { readonly sdpAnswer: string };
  readonly error?: { readonly message: string };
}

type Transport = Awaited<ReturnType<LoadTransport['answer']>>;

/** One participant of a load: publishes and subscribes over the clients' WebSocket protocol. */
export class LoadParticipant {
  readonly #socket: WebSocket;
  readonly #publish = new LoadTransport();
  readonly #onPacket: ((packet: Buffer) => void) | undefined;
  #subscribe: LoadTransport | undefined;
  #remoteUfrag: string | undefined;
  readonly #calls = new Map<number, (message: RpcMessage) => void>();
  #lastCall = 0;
  #local: Promise<Transport> | undefined;
  /** Sending m-lines of the last offer. */
  receiving = 0;
  /** Subscribe transports that the gateway replaced. */
  restarts = 0;

  /** @param onPacket gets what this participant receives */
  constructor(wsUrl: string, token: string, onPacket?: (packet: Buffer) => void) {
    const query = new URLSearchParams({
      token,
      client: 'browser',
      sdkVersion: 'load',
      uniqueId: randomUUID(),
    });
    this.#socket = new WebSocket(`${wsUrl}/v3/?${query.toString()}`);
    this.#socket.on('message', (data: Buffer) => this.#onMessage(JSON.parse(data.toString()) as RpcMessage));
    this.#onPacket = onPacket;
  }

  async start(sources: LoadSources): Promise<void> {
    await once(this.#socket, 'open');
    await this.#call('setMediaPreferences', { protocol: 'WEBRTC' });
    const sdpOffer = publishOffer(await this.#publish.offer(), sources);
    const mediaMetadata = { mediaStreams: { load: {} }, dataChannels: {} };
    const { result } = await this.#call('offerSdp', { sdpOffer, mediaMetadata });
    this.#publish.accept(result!.sdpAnswer);
    await this.#publish.connected;
  }

  send(packet: Buffer): void {
    this.#publish.send(packet);
  }

  close(): void {
    this.#publish.close();
    this.#subscribe?.close();
    this.#socket.close();
  }

  async #call(method: string, params: object): Promise<RpcMessage> {
    this.#lastCall += 1;
    const id = this.#lastCall;
    const answer = new Promise<RpcMessage>((resolve) => this.#calls.set(id, resolve));
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    const message = await answer;
    if (message.error) throw new Error(`${method}: ${message.error.message}`);
    return message;
  }

  #onMessage(message: RpcMessage): void {
    if (message.id !== undefined) {
      this.#calls.get(message.id)?.(message);
      this.#calls.delete(message.id);
    } else if (message.method === 'sdpOffer') {
      void this.#answer(message.params!.sdpOffer);
    }
  }

  async #answer(sdpOffer: string): Promise<void> {
    this.#local = this.#localFor(sdpOffer);
    await this.#call('answerSdp', { sdpAnswer: subscribeAnswer(sdpOffer, await this.#local) });
    this.receiving = sdpOffer.match(/^a=sendonly/gm)?.length ?? 0;
  }

  /** Our end of the offer's transport; a new one if the gateway's is new. */
  #localFor(sdpOffer: string): Promise<Transport> {
    const ufrag = /^a=ice-ufrag:(\S+)/m.exec(sdpOffer)?.[1];
    if (this.#local && ufrag === this.#remoteUfrag) return this.#local;
    if (this.#subscribe) this.restarts += 1;
    this.#remoteUfrag = ufrag;
    this.#subscribe?.close();
    this.#subscribe = new LoadTransport(this.#onPacket);
    this.#subscribe.report();
    return this.#subscribe.answer(sdpOffer);
  }
}
