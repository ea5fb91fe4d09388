import type { DataChannel, PeerConnection } from 'node-datachannel';
import { InflowLimit } from './inflow-limit.js';

const INTERVAL_MS = 3_000;

/** Most messages that wait for the channel to open; the oldest are dropped. */
const MAX_WAITING = 16;

/** Nothing more is sent to a page that has so many unread bytes. */
const MAX_BUFFERED = 65_536;

/** Clients send `PONG` every 3 s, and nothing else. */
const DATA_RATES = {
  messages: { burst: 100, perSecond: 100 },
  bytes: { burst: 1_000_000, perSecond: 1_000_000 },
};
/** How often to check whether the library has handed up all channels that the page opened. */
const QUIET_MS = 20;
const MAX_DRAIN_MS = 1_000;

interface ChannelsOptions {
  readonly onHeartbeat: () => void;
  /** The page sent more than it may. Called once; {@link Channels.drained} is to be awaited before closing. */
  readonly onAbuse: () => void;
}

/**
 * The data channels of one transport: the two of the clients, negotiated out of band, and those that a page opens
 * itself, which are closed at once. All are read: the library keeps 1,024 messages of an unread channel and
 * then blocks its own thread inside a callback, and closing the transport would wait for that callback's mutex.
 */
export class Channels {
  readonly #options: ChannelsOptions;
  readonly #limit = new InflowLimit(DATA_RATES);
  readonly #heartbeat: Heartbeat;
  readonly #diagnostics: Diagnostics;
  /**
   * Channels that the page opened and that are not closed yet. They are held, since collecting one would lose
   * what it has yet to hand up.
   */
  readonly #opened = new Set<DataChannel>();
  #openings = 0;
  #abused = false;

  constructor(connection: PeerConnection, options: ChannelsOptions) {
    this.#options = options;
    const open = (label: string, id: number): DataChannel =>
      connection.createDataChannel(label, { negotiated: true, id, protocol: 'udp' });
    const [heartbeat, diagnostics] = [open('__heartbeat__', 0), open('__diagnostics__', 1)];
    this.#heartbeat = new Heartbeat(heartbeat);
    this.#diagnostics = new Diagnostics(diagnostics);
    this.#read(heartbeat, (message) => {
      if (this.#heartbeat.isAnswer(message)) options.onHeartbeat();
    });
    this.#read(diagnostics);
    connection.onDataChannel((channel) => this.#onOpened(channel));
  }

  sendDiagnostics(message: string): void {
    if (!this.#abused) this.#diagnostics.send(message);
  }

  stop(): void {
    this.#heartbeat.stop();
  }

  /**
   * Resolves when the library has handed up all channels that the page opened, or after a second: closing the transport
   * before that leaks them.
   */
  async drained(): Promise<void> {
    const until = performance.now() + MAX_DRAIN_MS;
    let seen: number;
    do {
      seen = this.#openings;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    } while (seen !== this.#openings && performance.now() < until);
  }

  #onOpened(channel: DataChannel): void {
    this.#openings += 1;
    this.#opened.add(channel);
    this.#read(channel);
    this.#admits(0);
    // Only after what it already received is handed up: closing would leak that.
    setImmediate(() => {
      if (this.#abused) return;
      channel.close();
      this.#opened.delete(channel);
    });
  }

  #read(channel: DataChannel, onMessage?: (message: string | Buffer | ArrayBuffer) => void): void {
    channel.onMessage((message) => {
      const bytes = typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength;
      if (this.#admits(bytes)) onMessage?.(message);
    });
  }

  #admits(bytes: number): boolean {
    if (this.#abused) return false;
    if (this.#limit.admits(bytes, performance.now())) return true;
    this.#abused = true;
    this.#heartbeat.stop();
    this.#options.onAbuse();
    return false;
  }
}

/** The part of a data channel that diagnostics need. */
interface DiagnosticsChannel {
  isOpen(): boolean;
  bufferedAmount(): number;
  sendMessage(message: string): boolean;
  onOpen(listener: () => void): void;
}

/** Sends messages on the diagnostics channel of a client, which writes them to its log. */
export class Diagnostics {
  readonly #channel: DiagnosticsChannel;
  #waiting: string[] = [];

  constructor(channel: DiagnosticsChannel) {
    this.#channel = channel;
    channel.onOpen(() => {
      for (const message of this.#waiting.splice(0)) channel.sendMessage(message);
    });
  }

  send(message: string): void {
    if (!this.#channel.isOpen()) this.#waiting = [...this.#waiting, message].slice(-MAX_WAITING);
    else if (this.#channel.bufferedAmount() < MAX_BUFFERED) this.#channel.sendMessage(message);
  }
}

/** The part of a data channel that the heartbeat needs. */
interface HeartbeatChannel {
  isOpen(): boolean;
  bufferedAmount(): number;
  sendMessage(message: string): boolean;
}

/** Sends `PING` on the clients' heartbeat channel; they reply `PONG`. */
export class Heartbeat {
  readonly #channel: HeartbeatChannel;
  readonly #timer: NodeJS.Timeout;

  constructor(channel: HeartbeatChannel) {
    this.#channel = channel;
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS);
    this.#timer.unref();
  }

  isAnswer(message: unknown): boolean {
    return message === 'PONG';
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    // Not to a page that does not read them: the library would keep them all.
    if (this.#channel.isOpen() && this.#channel.bufferedAmount() === 0) this.#channel.sendMessage('PING');
  }
}
