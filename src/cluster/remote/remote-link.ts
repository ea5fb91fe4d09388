import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Clock, Log, Timer } from '../../shared/index.js';
import type { Link, LinkListener } from '../messages.js';
import { type Decode, InvalidMessage } from './codec.js';

/** The version of what edges and leaders say to each other: both ends must speak the same. */
export const PROTOCOL = 3;

/** Path of the private HTTP server. */
export const CLUSTER_PATH = '/cluster/';
export const PROTOCOL_HEADER = 'patchbay-protocol';

/** What closes a connection (RFC 6455 section 7.4; 4000 and above are our own). */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  invalid: 1007,
  failed: 1011,
  otherVersion: 4001,
} as const;

export interface LinkLimits {
  /** Bytes of one message. The hello of 2,000 devices has some MB. */
  readonly messageBytes: number;
  /** Bytes that the other end has not taken: beyond that the connection ends, and all is stated anew at the next one. */
  readonly waitingBytes: number;
  /** How often each end gives a sign of life, and after how many of these times without one the other end is given up. */
  readonly beatMs: number;
  readonly silentBeats: number;
}

const MEGABYTE = 1_048_576;
/** How long the other end may take to close too. */
const CLOSE_LIMIT_MS = 2_000;

/** A partition is noticed within 2 to 2.5 s. */
export const DEFAULT_LINK_LIMITS: LinkLimits = {
  messageBytes: 64 * MEGABYTE,
  waitingBytes: 64 * MEGABYTE,
  beatMs: 500,
  silentBeats: 4,
};

/** Options of a WebSocket's end. No compression: it costs memory, and a small message could inflate to a huge one. */
export const socketOptions = ({ messageBytes }: LinkLimits) =>
  ({ perMessageDeflate: false, maxPayload: messageBytes, closeTimeout: CLOSE_LIMIT_MS }) as const;

/** Why a connection ended, in words, for the log. */
export type LinkEnd =
  'closed' | 'closed by the other end' | 'silent' | 'invalid message' | 'too slow' | 'failed';

interface LinkParts<Received> {
  /** Open. */
  readonly socket: WebSocket;
  /** What the WebSocket is on. */
  readonly stream: Duplex;
  readonly decode: Decode<Received>;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, after the listener was told. @param detail for the log; holds nothing of what was said */
  readonly ended: (why: LinkEnd, detail: string) => void;
}

/** One end of a connection between an edge and the leader on a WebSocket. What comes is checked before anybody gets it. */
export class RemoteLink<Sent, Received> implements Link<Sent> {
  readonly #parts: LinkParts<Received>;
  #listener: LinkListener<Received> | undefined;
  #isOpen = true;
  #beat: Timer;
  #silentBeats = 0;
  #bytesRead = 0;

  constructor(parts: LinkParts<Received>) {
    const { socket } = parts;
    this.#parts = parts;
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('close', (code, reason) =>
      this.#end('closed by the other end', `${String(code)} ${String(reason)}`),
    );
    socket.on('error', (error) => this.#end('failed', error.message));
    this.#beat = this.#nextBeat();
  }

  /** Sets who receives. To be called before the event loop goes on. */
  listen(listener: LinkListener<Received>): void {
    this.#listener = listener;
    if (!this.#isOpen) listener.closed();
  }

  send(message: Sent): void {
    if (!this.#isOpen) return;
    const { socket, limits } = this.#parts;
    socket.send(JSON.stringify(message));
    if (socket.bufferedAmount <= limits.waitingBytes) return;
    this.#end('too slow', `${String(socket.bufferedAmount)} bytes wait`);
    socket.terminate();
  }

  close(): void {
    this.closeWith(CLOSE.normal, '');
  }

  /** What the other end has sent and is on its way is not received any more. */
  closeWith(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#end('closed', reason);
    this.#parts.socket.close(code, reason);
  }

  #received(data: RawData, isBinary: boolean): void {
    if (!this.#isOpen) return;
    const { socket, decode, log } = this.#parts;
    try {
      if (isBinary || !Buffer.isBuffer(data)) throw new InvalidMessage('It is not text.');
      this.#listener?.received(decode(data.toString()));
    } catch (error) {
      const isInvalid = error instanceof InvalidMessage;
      if (!isInvalid) log.error({ err: error }, 'A message of another gateway could not be taken.');
      this.#end(isInvalid ? 'invalid message' : 'failed', isInvalid ? error.message : 'See the line before.');
      socket.close(isInvalid ? CLOSE.invalid : CLOSE.failed, isInvalid ? 'invalid message' : 'failed');
    }
  }

  #nextBeat(): Timer {
    const { clock, limits } = this.#parts;
    return clock.setTimeout(() => this.#check(), limits.beatMs);
  }

  /**
   * A sign of life is whatever came, also a part of a long message. Silence is counted in beats of our own: a pause of this
   * process is one beat, however long it was, and what came meanwhile is read before the next one.
   */
  #check(): void {
    const { socket, stream, limits } = this.#parts;
    const read = stream instanceof Socket ? stream.bytesRead : 0;
    this.#silentBeats = read === this.#bytesRead ? this.#silentBeats + 1 : 0;
    this.#bytesRead = read;
    if (this.#silentBeats >= limits.silentBeats) {
      this.#end('silent', `nothing came for ${String(limits.silentBeats * limits.beatMs)} ms`);
      socket.terminate();
      return;
    }
    if (socket.readyState === socket.OPEN) socket.ping();
    this.#beat = this.#nextBeat();
  }

  #end(why: LinkEnd, detail: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#beat.cancel();
    this.#listener?.closed();
    this.#parts.ended(why, detail);
  }
}
