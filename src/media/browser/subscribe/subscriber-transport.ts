import { MediaError } from '../../types.js';
import { SILENCE_MS } from '../liveness.js';
import type {
  OfferedTransport,
  TransportFactory,
  TransportState,
  TransportDescription,
} from '../transport/transport.js';
import type { Log } from '../../../shared/index.js';

/** Longest time from the answer to the connection; the browser starts its checks at once. */
const CONNECT_TIMEOUT_MS = 6_000;
/** Most failed transports in a row; after that a new one is tried only after a sign of the browser. */
const MAX_STARTS = 4;
const CHECK_INTERVAL_MS = 1_000;

interface SubscriberTransportOptions {
  readonly transports: TransportFactory;
  readonly onPacket: (packet: Buffer) => void;
  readonly onConnected: () => void;
  /** The transport is gone; the next offer, after another {@link SubscriberTransport.open}, carries other parameters. */
  readonly onGone: () => void;
  readonly onAbuse: () => void;
  readonly log: Log;
}

/**
 * The transport to a subscriber, which we offer, replaced by a fresh one when it fails to connect or dies.
 * The browser sees that as an ICE restart with a new DTLS association.
 */
export class SubscriberTransport {
  readonly #options: SubscriberTransportOptions;
  readonly #checks: NodeJS.Timeout;
  #transport: OfferedTransport | undefined;
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

  /** Our parameters; undefined before {@link open} and while a fresh transport is being made. */
  get local(): TransportDescription | undefined {
    return this.#transport?.local;
  }

  /** So many transports failed in a row that no other is tried before a sign of the browser. */
  get exhausted(): boolean {
    return this.#starts >= MAX_STARTS;
  }

  /** Makes the transport when there is none. */
  async open(): Promise<void> {
    if (this.#transport || this.#closed) return;
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  /** The browser showed a sign of life: transports are tried again. */
  resetAttempts(): void {
    this.#starts = 0;
  }

  /**
   * Takes the parameters of an answer; the same ones again change nothing.
   * @param options.maybeSame the browser may use the same ICE credentials for the next transport
   */
  accept(remote: TransportDescription, options: { maybeSame: boolean }): void {
    const transport = this.#transport;
    if (!transport) throw new MediaError('INVALID_STATE', 'No transport is offered.');
    if (this.#accepted) return;
    const same = this.#remote?.iceUfrag === remote.iceUfrag && this.#remote.icePwd === remote.icePwd;
    if (same && !options.maybeSame) {
      throw new MediaError(
        'INVALID_STATE',
        'The answer is to an offer made before the transport was replaced.',
      );
    }
    transport.accept(remote);
    this.#remote = remote;
    this.#accepted = true;
    this.#connectTimer = setTimeout(() => this.#gone('not connected in time'), CONNECT_TIMEOUT_MS);
  }

  /** Gives up the transport that was offered last, as if it had died. */
  abandon(cause: string): void {
    this.#gone(cause);
  }

  get isConnected(): boolean {
    return this.#transport?.state === 'connected';
  }

  send(packet: Buffer): boolean {
    if (!this.#transport?.send(packet)) return false;
    this.#awaitingSince ??= performance.now();
    return true;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#checks);
    clearTimeout(this.#connectTimer);
    this.#transport?.close();
  }

  async #start(): Promise<void> {
    const transport: OfferedTransport = await this.#options.transports.offer({
      onPacket: (packet) => {
        this.#awaitingSince = undefined;
        this.#options.onPacket(packet);
      },
      onHeartbeat: () => undefined,
      onState: (state) => this.#stateChanged(state),
      onAbuse: this.#options.onAbuse,
    });
    if (this.#closed) {
      transport.close();
      return;
    }
    this.#accepted = false;
    this.#awaitingSince = undefined;
    this.#starts += 1;
    this.#transport = transport;
  }

  #stateChanged(state: TransportState): void {
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
    this.#transport?.close();
    this.#transport = undefined;
    this.#options.onGone();
  }
}
