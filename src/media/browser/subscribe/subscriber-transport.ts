import { MediaError } from '../../types.js';
import { SILENCE_MS } from '../liveness.js';
import type { OfferedPipe, PipeFactory, PipeState, TransportDescription } from '../transport/pipe.js';
import type { Log } from '../../../shared/index.js';

/** From the answer to the first media path; the browser starts its checks at once. */
const CONNECT_TIMEOUT_MS = 6_000;
/** Fresh starts in a row without a connection, after which only the browser itself can help. */
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
 * The path to a subscriber over its life: a pipe that we offer, and a fresh one in its place when it fails to
 * connect or dies. The browser sees that as an ICE restart with a new DTLS association.
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
  /** When the first packet went after the browser was heard last: its reports are due from then. */
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

  /** So many paths in a row failed that no other is tried before the browser shows a sign of life. */
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
   * @param options.maybeSame the browser may have the same ICE credentials for one path after the other
   */
  accept(remote: TransportDescription, options: { maybeSame: boolean }): void {
    const pipe = this.#pipe;
    if (!pipe) throw new MediaError('INVALID_STATE', 'No transport is offered.');
    if (this.#accepted) return;
    const same = this.#remote?.iceUfrag === remote.iceUfrag && this.#remote.icePwd === remote.icePwd;
    if (same && !options.maybeSame) {
      throw new MediaError(
        'INVALID_STATE',
        'The answer is to an offer from before the transport was replaced.',
      );
    }
    pipe.accept(remote);
    this.#remote = remote;
    this.#accepted = true;
    this.#connectTimer = setTimeout(() => this.#gone('not connected in time'), CONNECT_TIMEOUT_MS);
  }

  /** Gives the path up that was offered last, as if it had died. */
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
