import { MediaError } from '../../types.js';
import type { MediaLog } from '../../types.js';
import type { OfferedPipe, PipeFactory, PipeState, TransportDescription } from '../transport/pipe.js';

/** From the answer to the first media path; the browser starts its checks at once. */
const CONNECT_TIMEOUT_MS = 6_000;
/** Fresh starts in a row without a connection, after which the browser is given up. */
const MAX_STARTS = 4;

export interface SubscriberTransportOptions {
  readonly pipes: PipeFactory;
  readonly onPacket: (packet: Buffer) => void;
  readonly onConnected: () => void;
  /** The path must be negotiated anew: the next offer carries other parameters. */
  readonly onRestart: () => void;
  /** All attempts to come (back) to a connection failed. */
  readonly onLost: () => void;
  readonly log: MediaLog;
}

/**
 * The path to a subscriber over its life: a pipe that we offer, and a fresh one in its place when it fails to
 * connect or dies. The browser sees that as an ICE restart with a new DTLS association.
 */
export class SubscriberTransport {
  readonly #options: SubscriberTransportOptions;
  #pipe: OfferedPipe | undefined;
  #opening: Promise<void> | undefined;
  #remote: TransportDescription | undefined;
  #accepted = false;
  #starts = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SubscriberTransportOptions) {
    this.#options = options;
  }

  /** Our parameters; undefined before {@link open} and while a fresh path is being made. */
  get local(): TransportDescription | undefined {
    return this.#pipe?.local;
  }

  get connected(): boolean {
    return this.#pipe?.state === 'connected';
  }

  /** Makes the path when there is none. */
  async open(): Promise<void> {
    if (this.#pipe || this.#closed) return;
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  /** Takes the parameters of an answer; the same ones again change nothing. */
  accept(remote: TransportDescription): void {
    const pipe = this.#pipe;
    if (!pipe) throw new MediaError('INVALID_STATE', 'No transport was offered.');
    if (this.#accepted) return;
    if (this.#remote?.iceUfrag === remote.iceUfrag && this.#remote.icePwd === remote.icePwd) {
      throw new MediaError(
        'INVALID_STATE',
        'The answer is to an offer from before the transport was replaced.',
      );
    }
    pipe.accept(remote);
    this.#remote = remote;
    this.#accepted = true;
    this.#timer = setTimeout(() => this.#restart('not connected in time'), CONNECT_TIMEOUT_MS);
  }

  send(packet: Buffer): boolean {
    return this.#pipe?.send(packet) ?? false;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#pipe?.close();
  }

  async #start(): Promise<void> {
    const pipe: OfferedPipe = await this.#options.pipes.offer({
      onPacket: this.#options.onPacket,
      onState: (state) => this.#stateChanged(state),
    });
    if (this.#closed) {
      pipe.close();
      return;
    }
    this.#accepted = false;
    this.#starts += 1;
    this.#pipe = pipe;
  }

  #stateChanged(state: PipeState): void {
    switch (state) {
      case 'connected':
        clearTimeout(this.#timer);
        this.#starts = 0;
        this.#options.onConnected();
        return;
      case 'disconnected':
      case 'failed':
        this.#restart(state);
        return;
      case 'connecting':
      case 'closed':
        return;
    }
  }

  #restart(cause: string): void {
    clearTimeout(this.#timer);
    this.#options.log.info({ cause, starts: this.#starts }, 'Subscribe transport is replaced');
    this.#pipe?.close();
    this.#pipe = undefined;
    if (this.#starts >= MAX_STARTS) this.#options.onLost();
    else this.#options.onRestart();
  }
}
