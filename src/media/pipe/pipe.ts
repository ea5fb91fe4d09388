import type { Socket } from 'node:net';
import { type Clock, type Log, systemClock, type Timer } from '../../shared/index.js';
import type { RemoteStreams } from '../live-streams.js';
import type { ConnectionKeys } from './handshake.js';
import type { Incoming } from './incoming.js';
import { ReceivedStreams } from './received-streams.js';
import { type ByteCounts, RecordChannel } from './record-channel.js';
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
  /** Of records, as they go over the connection. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** One end of a pipe. */
export interface Pipe {
  counters(): PipeCounters;
  /** Ends the connection, and with it the streams that come by it. */
  close(): void;
}

/** The end whose streams go to the other host. */
export interface SendingPipe extends Pipe {
  /**
   * Replaces the full set of streams that the other end gets. From then on it follows by itself what becomes of them:
   * streams that are not published yet, that end, or whose codec changes.
   */
  send(streamIds: readonly string[]): void;
}

/** What an end of a pipe works with. */
export interface PipeParts {
  /** Of the plane whose streams are sent, or to whose devices the other host's streams go. */
  readonly streams: RemoteStreams;
  readonly log: Log;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** How often each end of a connection between machines gives a sign of life. */
const BEAT_MS = 500;
/** After so many beats without one, the other end is given up: a partition is noticed within 2 to 2.5 s. */
const SILENT_BEATS = 4;

/**
 * Gives up a connection whose other machine is gone or cut off. TCP itself takes 15 s to see that where it only reads, and
 * many minutes where it writes; and it repeats what was lost more and more rarely, so that sound would come back long after
 * the network.
 */
class KeepAlive {
  readonly #socket: Socket;
  readonly #channel: RecordChannel;
  readonly #clock: Clock;
  #silentBeats = 0;
  #bytesRead: number;
  #timer: Timer;

  constructor(socket: Socket, channel: RecordChannel, clock: Clock) {
    this.#socket = socket;
    this.#channel = channel;
    this.#clock = clock;
    this.#bytesRead = socket.bytesRead;
    this.#timer = this.#nextBeat();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #nextBeat(): Timer {
    return this.#clock.setTimeout(() => this.#beat(), BEAT_MS);
  }

  /** Silence is counted in beats of our own: a pause of this process is one, and what came meanwhile is read before the next. */
  #beat(): void {
    const { bytesRead } = this.#socket;
    this.#silentBeats = bytesRead === this.#bytesRead ? this.#silentBeats + 1 : 0;
    this.#bytesRead = bytesRead;
    if (this.#silentBeats >= SILENT_BEATS) {
      this.#channel.close(new Error(`Nothing came for ${SILENT_BEATS * BEAT_MS} ms.`));
      return;
    }
    this.#channel.beat();
    this.#timer = this.#nextBeat();
  }
}

/** Connections that may try to show their key at once. The other end has no more than one or two. */
const MAX_UNPROVEN = 4;

/** What an end has while a connection is up. */
interface PipeStreams {
  /** @param bytes valid during the call @throws Error when the frame makes no sense */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void;
  close(): void;
}

/** One end of a pipe, over all its connections. */
export abstract class PipeEnd<Streams extends PipeStreams = PipeStreams> implements Pipe {
  protected readonly parts: PipeParts;
  protected readonly counts: PacketCounts = { packetsSent: 0, packetsReceived: 0, packetsDropped: 0 };
  readonly #bytes: ByteCounts = { bytesSent: 0, bytesReceived: 0 };
  readonly #onClose: () => void;
  #connections = 0;
  #failures = 0;
  /** The newest connection that the other end has shown its key on. */
  #current: { readonly channel: RecordChannel; readonly streams: Streams } | undefined;
  /** Connections on which it has not. */
  readonly #unproven = new Set<RecordChannel>();
  #isClosed = false;

  /** @param onClose called when the pipe is closed on this end */
  constructor(parts: PipeParts, onClose: () => void) {
    this.parts = parts;
    this.#onClose = onClose;
  }

  /** A connection has come up. */
  protected abstract open(channel: RecordChannel): Streams;

  /** Undefined while no connection is up. */
  protected get current(): Streams | undefined {
    return this.#current?.streams;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  counters(): PipeCounters {
    return {
      ...this.counts,
      ...this.#bytes,
      isConnected: this.#current !== undefined,
      connections: this.#connections,
      failures: this.#failures,
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const channel of this.#unproven) channel.close();
    this.#current?.channel.close();
    this.#onClose();
  }

  /** An attempt to connect failed. */
  failed(error: unknown): void {
    this.#failures += 1;
    this.parts.log.debug({ err: error }, 'a pipe between media hosts did not come up');
  }

  /**
   * Takes a connection whose ends have greeted each other, in place of the one before.
   * @returns a promise that resolves when it is lost
   */
  use(socket: Socket, incoming: Incoming, keys: ConnectionKeys): Promise<void> {
    return new Promise((resolve) => {
      let streams: Streams | undefined;
      let keepAlive: KeepAlive | undefined;
      // Between the hosts of one machine the supervisor sees who is gone.
      const isBetweenMachines = socket.remoteAddress !== undefined;
      const channel = new RecordChannel(socket, incoming, keys, this.#bytes, {
        onOpen: () => {
          this.#unproven.delete(channel);
          this.#current?.channel.close(new Error('The other end has connected again.'));
          streams = this.open(channel);
          this.#current = { channel, streams };
          this.#connections += 1;
          if (isBetweenMachines) keepAlive = new KeepAlive(socket, channel, this.parts.clock ?? systemClock);
          this.parts.log.debug({ connections: this.#connections }, 'a pipe between media hosts is up');
        },
        onFrame: (type, bytes, start, end) => streams!.onFrame(type, bytes, start, end),
        onClosed: (reason) => {
          keepAlive?.stop();
          this.#unproven.delete(channel);
          if (streams) this.#lost(channel, streams, reason);
          else if (!this.#isClosed) this.failed(reason);
          resolve();
        },
      });
      this.#unproven.add(channel);
      if (this.#unproven.size > MAX_UNPROVEN) this.#giveUpOldest();
      if (this.#isClosed) channel.close();
    });
  }

  /** Strangers may have learnt the pipe's name, but the other end shows its key soon. */
  #giveUpOldest(): void {
    for (const channel of this.#unproven) {
      channel.close(new Error('Too many connections show no key.'));
      return;
    }
  }

  #lost(channel: RecordChannel, streams: Streams, reason: Error | undefined): void {
    if (this.#current?.channel === channel) this.#current = undefined;
    streams.close();
    if (!this.#isClosed) this.parts.log.warn({ err: reason }, 'a pipe between media hosts was lost');
  }
}

export class SendingEnd extends PipeEnd<SentStreams> implements SendingPipe {
  #wanted: ReadonlySet<string> = new Set();

  send(streamIds: readonly string[]): void {
    this.#wanted = new Set(streamIds);
    this.current?.want(this.#wanted);
  }

  protected open(channel: RecordChannel): SentStreams {
    const streams = new SentStreams(this.parts.streams, channel, this.counts);
    streams.want(this.#wanted);
    return streams;
  }
}

export class ReceivingEnd extends PipeEnd<ReceivedStreams> {
  protected open(channel: RecordChannel): ReceivedStreams {
    return new ReceivedStreams(this.parts.streams, channel, this.counts, this.parts.log);
  }
}
