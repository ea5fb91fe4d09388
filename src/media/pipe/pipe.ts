import type { Socket } from 'node:net';
import type { Log } from '../../shared/index.js';
import type { RemoteStreams } from '../live-streams.js';
import { FRAME } from './frames.js';
import type { ConnectionKeys } from './handshake.js';
import { ReceivedStreams } from './received-streams.js';
import { RecordChannel } from './record-channel.js';
import { type PacketCounts, SentStreams } from './sent-streams.js';

/** What a pipe did since it was made. */
export interface PipeCounters {
  readonly isConnected: boolean;
  /** Connections that came up; more than one: it was lost and made again. */
  readonly connections: number;
  /** Attempts of either end that failed: nobody there, another key, or garbage. */
  readonly failures: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  /** Packets that were not sent because the other end did not read. */
  readonly packetsDropped: number;
}

/** One end of the connection between two media hosts. */
export interface Pipe {
  /**
   * Replaces the full set of this host's streams that the other end gets. From then on it follows by itself what
   * becomes of them: streams that are not published yet, that end, or whose codec changes.
   */
  send(streamIds: readonly string[]): void;
  counters(): PipeCounters;
  /** Ends the connection, and with it the streams that came by it. */
  close(): void;
}

/** What an end of a pipe works with. */
export interface PipeParts {
  /** Of the plane whose streams are sent, and to whose devices the other host's streams go. */
  readonly streams: RemoteStreams;
  readonly log: Log;
}

/** One end of a pipe, over all its connections. */
export class PipeEnd implements Pipe {
  readonly #parts: PipeParts;
  readonly #onClose: () => void;
  readonly #counts: PacketCounts = { packetsSent: 0, packetsReceived: 0, packetsDropped: 0 };
  #wanted: ReadonlySet<string> = new Set();
  #connections = 0;
  #failures = 0;
  /** The newest connection that the other end has shown its key on. */
  #channel: RecordChannel | undefined;
  #sent: SentStreams | undefined;
  /** Connections on which it has not. */
  readonly #unproven = new Set<RecordChannel>();
  #isClosed = false;

  /** @param onClose called when the pipe is closed on this end */
  constructor(parts: PipeParts, onClose: () => void) {
    this.#parts = parts;
    this.#onClose = onClose;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(streamIds: readonly string[]): void {
    this.#wanted = new Set(streamIds);
    this.#sent?.want(this.#wanted);
  }

  counters(): PipeCounters {
    return {
      ...this.#counts,
      isConnected: this.#channel !== undefined,
      connections: this.#connections,
      failures: this.#failures,
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const channel of this.#unproven) channel.close();
    this.#channel?.close();
    this.#onClose();
  }

  /** An attempt to connect failed. */
  failed(error: unknown): void {
    this.#failures += 1;
    this.#parts.log.debug({ err: error }, 'a pipe between media hosts did not come up');
  }

  /**
   * Takes a connection whose ends have greeted each other, in place of the one before.
   * @returns a promise that resolves when it is lost
   */
  use(socket: Socket, keys: ConnectionKeys): Promise<void> {
    return new Promise((resolve) => {
      let parts: { readonly sent: SentStreams; readonly received: ReceivedStreams } | undefined;
      const channel = new RecordChannel(socket, keys, {
        onOpen: () => {
          this.#unproven.delete(channel);
          this.#channel?.close(new Error('The other end has connected again.'));
          parts = this.#open(channel);
        },
        onFrame: (type, bytes, start, end) => {
          if (type === FRAME.keyFrame || type === FRAME.bitrate)
            parts!.sent.onFeedback(type, bytes, start, end);
          else parts!.received.onFrame(type, bytes, start, end);
        },
        onClosed: (reason) => {
          this.#unproven.delete(channel);
          if (parts) this.#closed(channel, parts, reason);
          else if (!this.#isClosed) this.failed(reason);
          resolve();
        },
      });
      this.#unproven.add(channel);
      if (this.#isClosed) channel.close();
    });
  }

  #open(channel: RecordChannel): { sent: SentStreams; received: ReceivedStreams } {
    const { streams, log } = this.#parts;
    const sent = new SentStreams(streams, channel, this.#counts);
    const received = new ReceivedStreams(streams, channel, this.#counts, log);
    this.#channel = channel;
    this.#sent = sent;
    this.#connections += 1;
    log.debug({ connections: this.#connections }, 'a pipe between media hosts is up');
    sent.want(this.#wanted);
    return { sent, received };
  }

  #closed(
    channel: RecordChannel,
    { sent, received }: { sent: SentStreams; received: ReceivedStreams },
    reason: Error | undefined,
  ): void {
    if (this.#channel === channel) {
      this.#channel = undefined;
      this.#sent = undefined;
    }
    sent.close();
    received.close();
    if (!this.#isClosed) this.#parts.log.warn({ err: reason }, 'a pipe between media hosts was lost');
  }
}
