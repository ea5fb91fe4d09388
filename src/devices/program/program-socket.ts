import type { WebSocket } from 'ws';
import { type EndReason, mayResume } from '../../core/index.js';
import { type Clock, type Log, TokenBucket } from '../../shared/index.js';
import { KeepAlive } from '../keep-alive.js';
import {
  BadMessage,
  type Channel,
  type Command,
  type Conversation,
  type Message,
  type News,
} from './dialects/index.js';
import type { ProgramLimits } from './limits.js';

/** Receives what comes on a socket. */
export interface SocketUser {
  /** @throws BadMessage when it cannot be done */
  commanded(command: Command): void;
  /** The socket is closed, by either side. Called once. */
  socketClosed(socket: ProgramSocket, code: number): void;
}

/** What went wrong with all programs since the start, for monitoring. */
export interface ProgramTotals {
  badMessages: number;
  /** Sockets closed because of what the program did, or did not read. */
  abusiveSockets: number;
  /** Audio that did not reach programs, since they did not read. */
  droppedMs: number;
  /** Audio of programs that found no room in their queues. */
  overflowMs: number;
}

/** A WebSocket close (RFC 6455 section 7.4). */
interface SocketClose {
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

interface Waiting {
  readonly message: Message;
  /** Monotonic time. */
  readonly since: number;
}

const FRAME_MS = 20;
/** How often a ping asks whether the program has read what it was sent before. */
const PROBE_MS = 500;
/** How often a program is told that audio is lost. */
const TELL_DROPPED_MS = 1_000;

/**
 * One WebSocket of a program, in its dialect: it limits what the program may send, and drops the oldest audio when the
 * program does not read.
 */
export class ProgramSocket {
  readonly #socket: WebSocket;
  readonly #conversation: Conversation;
  readonly #user: SocketUser;
  readonly #limits: ProgramLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #totals: ProgramTotals;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #badMessages: TokenBucket;
  /** Audio for which the socket has no room, the oldest first. */
  readonly #waiting: Waiting[] = [];
  /** A ping that was sent behind audio, and that was not answered yet. */
  #probe: { readonly at: number } | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  #droppedMs = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #isAbusive = false;

  constructor(options: {
    /** Open. */
    socket: WebSocket;
    conversation: Conversation;
    user: SocketUser;
    limits: ProgramLimits;
    clock: Clock;
    log: Log;
    totals: ProgramTotals;
  }) {
    this.#socket = options.socket;
    this.#conversation = options.conversation;
    this.#user = options.user;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#totals = options.totals;
    const now = options.clock.monotonic();
    this.#messages = new TokenBucket(options.limits.messages, now);
    this.#bytes = new TokenBucket(options.limits.bytes, now);
    this.#badMessages = new TokenBucket(options.limits.badMessages, now);
    new KeepAlive(options.socket, options.clock);
    this.#listen();
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Sends the first messages. */
  start(facts: Parameters<Conversation['start']>[0]): void {
    for (const message of this.#conversation.start(facts)) this.#send(message);
  }

  /** @returns whether the dialect has a word for it */
  tell(news: News): boolean {
    const message = this.#conversation.tell(news);
    if (message !== undefined) this.#send(message);
    return message !== undefined;
  }

  /** Sends 20 ms of audio, or keeps it while the program does not read. */
  audio(pcm: Buffer, channel: Channel | undefined): void {
    if (!this.#isOpen) return;
    const message = this.#conversation.audio(pcm, channel);
    const now = this.#clock.monotonic();
    if (this.#waiting.length === 0 && this.#hasRoom(now)) {
      this.#socket.send(message, this.#sendWaiting);
      this.#ask(now);
      return;
    }
    this.#waiting.push({ message, since: now });
    this.#dropOld(now);
    this.#sendWaiting();
  }

  /** Says goodbye in the words of the dialect, and closes the socket. */
  end(reason: EndReason): void {
    this.tell({ type: 'stop', reason });
    this.#socket.close(codeFor(reason), reason);
  }

  /** Cuts the connection without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }

  /**
   * Whether the program reads: the system alone would keep minutes of audio for it, so what counts is whether pings are
   * answered that were sent behind the audio.
   */
  #hasRoom(now: number): boolean {
    const { socketBytes, unreadMs } = this.#limits;
    const isLate = this.#probe !== undefined && now - this.#probe.at > unreadMs;
    return !isLate && this.#socket.bufferedAmount <= socketBytes;
  }

  #ask(now: number): void {
    if (this.#probe || now - this.#probedAt < PROBE_MS) return;
    this.#probedAt = now;
    this.#probe = { at: now };
    this.#socket.ping();
  }

  #dropOld(now: number): void {
    const { waitingMs, waitingMessages } = this.#limits;
    const isTooOld = (): boolean =>
      this.#waiting.length > waitingMessages || now - this.#waiting[0]!.since > waitingMs;
    while (this.#waiting.length > 0 && isTooOld()) {
      this.#waiting.shift();
      this.#droppedMs += FRAME_MS;
      this.#totals.droppedMs += FRAME_MS;
    }
    this.#tellDropped(now);
  }

  #tellDropped(now: number): void {
    if (this.#droppedMs === 0 || now - this.#toldAt < TELL_DROPPED_MS) return;
    this.#toldAt = now;
    this.#log.debug({ droppedMs: this.#droppedMs }, 'A program does not read: its oldest audio is dropped.');
    const droppedMs = this.#droppedMs;
    this.#droppedMs = 0;
    this.tell({ type: 'overflow', direction: 'to-program', droppedMs });
  }

  readonly #sendWaiting = (): void => {
    if (this.#waiting.length === 0) return;
    const now = this.#clock.monotonic();
    while (this.#waiting.length > 0 && this.#hasRoom(now) && this.#isOpen)
      this.#socket.send(this.#waiting.shift()!.message, this.#sendWaiting);
    this.#ask(now);
    if (this.#waiting.length === 0) this.#tellDropped(now);
  };

  #listen(): void {
    this.#socket.on('message', (data, isBinary) => {
      if (!this.#isOpen) return;
      // With the default binaryType, ws hands every message over as one Buffer.
      this.#receive(data as Buffer, isBinary);
    });
    // Of several pings the program may answer only the last (RFC 6455 section 5.5.3), which may be one of keep-alive.
    this.#socket.on('pong', () => {
      this.#probe = undefined;
      this.#sendWaiting();
    });
    // Malformed WebSocket frames, or a message that is too long: ws closes the socket with the right code.
    this.#socket.on('error', (error) => {
      this.#log.debug({ err: error }, 'The socket of a program failed.');
      this.#abused();
    });
    this.#socket.once('close', (code) => {
      this.#waiting.length = 0;
      this.#user.socketClosed(this, code);
    });
  }

  #receive(bytes: Buffer, isBinary: boolean): void {
    const now = this.#clock.monotonic();
    try {
      if (!this.#messages.take(now) || !this.#bytes.take(now, bytes.length))
        throw new BadMessage('too-many-messages', 'Too many messages or bytes; this one was not taken.');
      const { messageBytes } = this.#limits;
      if (bytes.length > messageBytes)
        throw new BadMessage('too-long', `A message has at most ${String(messageBytes)} bytes.`);
      const message = isBinary ? bytes : bytes.toString('utf8');
      for (const command of this.#conversation.read(message)) this.#user.commanded(command);
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.complain(error);
    }
  }

  /** Tells the program what is wrong with its message, or closes the socket when that goes on. */
  complain({ code, message }: BadMessage): void {
    this.#totals.badMessages += 1;
    this.tell({ type: 'error', code, message });
    if (this.#badMessages.take(this.#clock.monotonic())) return;
    this.#log.info({ code }, 'A program sends too many bad messages.');
    this.#abused();
    this.close({ code: 1008, reason: `Too many bad messages, the last one: ${code}.` });
  }

  close({ code, reason }: SocketClose): void {
    this.#socket.close(code, reason);
  }

  #abused(): void {
    if (this.#isAbusive) return;
    this.#isAbusive = true;
    this.#totals.abusiveSockets += 1;
  }

  #send(message: Message): void {
    if (!this.#isOpen) return;
    if (this.#socket.bufferedAmount > this.#limits.outgoingBytes) {
      this.#log.warn({}, 'A program does not read its socket.');
      this.#abused();
      this.terminate();
      return;
    }
    this.#socket.send(message);
  }
}

/** The close code for a connection that ended: after 1000 it would be no use to come back. */
function codeFor(reason: EndReason): number {
  if (!mayResume(reason)) return 1000;
  return reason === 'shutdown' ? 1012 : 1011;
}
