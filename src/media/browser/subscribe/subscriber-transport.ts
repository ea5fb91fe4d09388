import { MediaError } from '../../types.js';
import { SILENCE_MS } from '../liveness.js';
import type { OfferedPipe, PipeFactory, PipeState, TransportDescription } from '../transport/pipe.js';
import type { Log } from '../../../shared/index.js';

/** Longest time from the answer to the connection; the browser starts its checks at once. */
const CONNECT_TIMEOUT_MS = 6_000;
/** Most failed paths in a row; after that a new one is tried only after a sign of the browser. */
const MAX_STARTS = 4;
const CHECK_INTERVAL_MS = 1_000;

interface SubscriberTransportOptions {
  readonly pipes: PipeFactory;
  readonly onPacket: (packet: Buffer) => void;
  readonly onConnected: () => void;
  /** The path is gone; the next offer, after another {@link SubscriberTransport.open}, carries other parameters. */
  readonly onGone: () => void;
  readonly onAbuse: () => void;
  readonly log: Log;
}

/**
 * The path to a subscriber: a pipe that we offer, replaced by a fresh one when it fails to connect or dies.
 * The browser sees that as an ICE restart with a new DTLS association.
 */
export class SubscriberTransport {
  readonly #options: SubscriberTransportOptions;
  readonly #checks: NodeJS.Timeout;
  #pipe: OfferedPipe | undefined;
  #opening: Promise<void> | undefined;
  #remote: TransportDescription | undefined;
  #accepted = false;
  #starts = 0;
  #connectTimer: NodeJS.Timeout | undefined;
  /** When the first packet was sent since the browser was last heard: reports are expected from then on. */
  #awaitingSince: number | undefined;
  #closed = false;

  constructor(options: SubscriberTransportOptions) {
    this.#options = options;
    this.#checks = setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref();
  }

  /** Our parameters; undefined before {@link open} and while a fresh path is being made. */
  get local(): TransportDescription | undefined {
    return this.#pipe?.local;
  }

  /** So many paths failed in a row that no other is tried before a sign of the browser. */
  get exhausted(): boolean {
    return this.#starts >= MAX_STARTS;
  }

  /** Makes the path when there is none. */
  async open(): Promise<void> {
    if (this.#pipe || this.#closed) return;
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  /** The browser showed a sign of life: paths are tried again. */
  resetAttempts(): void {
    this.#starts = 0;
  }

  /**
   * Takes the parameters of an answer; the same ones again change nothing.
   * @param options.maybeSame the browser may use the same ICE credentials for the next path
   */
  accept(remote: TransportDescription, options: { maybeSame: boolean }): void {
    const pipe = this.#pipe;
    if (!pipe) throw new MediaError('INVALID_STATE', 'No transport is offered.');
    if (this.#accepted) return;
    const same = this.#remote?.iceUfrag === remote.iceUfrag && this.#remote.icePwd === remote.icePwd;
    if (same && !options.maybeSame) {
      throw new MediaError(
        'INVALID_STATE',
        'The answer is to an offer made before the transport was replaced.',
      );
    }
    pipe.accept(remote);
    this.#remote = remote;
    this.#accepted = true;
    this.#connectTimer = setTimeout(() => this.#gone('not connected in time'), CONNECT_TIMEOUT_MS);
  }

  /** Gives up the path that was offered last, as if it had died. */
  abandon(cause: string): void {
    this.#gone(cause);
  }

  send(packet: Buffer): boolean {
    if (!this.#pipe?.send(packet)) return false;
    this.#awaitingSince ??= performance.now();
    return true;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#checks);
    clearTimeout(this.#connectTimer);
    this.#pipe?.close();
  }

  async #start(): Promise<void> {
    const pipe: OfferedPipe = await this.#options.pipes.offer({
      onPacket: (packet) => {
        this.#awaitingSince = undefined;
        this.#options.onPacket(packet);
      },
      onHeartbeat: () => undefined,
      onState: (state) => this.#stateChanged(state),
      onAbuse: this.#options.onAbuse,
    });
    if (this.#closed) {
      pipe.close();
      return;
    }
    this.#accepted = false;
    this.#awaitingSince = undefined;
    this.#starts += 1;
    this.#pipe = pipe;
  }

  #stateChanged(state: PipeState): void {
    switch (state) {
      case 'connected':
        clearTimeout(this.#connectTimer);
        this.#starts = 0;
        this.#options.onConnected();
        return;
      case 'disconnected':
      case 'failed':
        this.#gone(state);
        return;
      case 'connecting':
      case 'closed':
        return;
    }
  }

  #check(): void {
    const since = this.#awaitingSince;
    if (since !== undefined && performance.now() - since > SILENCE_MS) this.#gone('silent');
  }

  #gone(cause: string): void {
    clearTimeout(this.#connectTimer);
    this.#awaitingSince = undefined;
    this.#options.log.info({ cause, starts: this.#starts }, 'Subscribe transport is gone');
    this.#pipe?.close();
    this.#pipe = undefined;
    this.#options.onGone();
  }
}
