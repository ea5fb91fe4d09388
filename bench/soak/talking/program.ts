import { WebSocket } from 'ws';
import { PHONE_RATE, sine } from '../../../test/support/tones.js';
import { AMPLITUDE, Hearing, hertz, PIECE_MS, PIECE_SAMPLES } from './hearing.js';
import type { Talker } from './talker.js';
import { NotAnswered } from './transactions.js';

/** What it has said is ahead of what is played by so much, so that a busy machine makes no pauses. */
const AHEAD_MS = 200;
/** The gateway sends a piece every 20 ms, silence too: one that sends nothing for so long is left for another one. */
const SILENT_MS = 2000;
const AGAIN_MS = 200;
const CONNECT_MS = 5000;

interface ProgramOptions {
  /** Where it connects: to the next one when it is refused or left. */
  readonly gateways: readonly string[];
  readonly tone: number;
}

/** A program that talks, by a WebSocket. One that is lost is made again, at the next gateway. */
export class SoakProgram implements Talker {
  readonly tone: number;
  readonly hearing = new Hearing();
  /** Why gateways have closed its sockets for good, though neither it nor REST wanted that. */
  readonly closings: string[] = [];
  readonly #gateways: readonly string[];
  readonly #wave: Buffer;
  #at = 0;
  #token = '';
  #socket: WebSocket | undefined;
  #device: string | undefined;
  #isInCall = false;
  #isStarted = false;
  #dueAt = 0;
  #heardAt = 0;
  #again: NodeJS.Timeout | undefined;
  #onRemoved: (() => void) | undefined;

  constructor({ gateways, tone }: ProgramOptions) {
    this.#gateways = gateways;
    this.tone = tone;
    this.#wave = Buffer.from(sine(hertz(tone), PHONE_RATE, AMPLITUDE)(PIECE_SAMPLES).buffer);
  }

  /** Where it is connected, or tries to. */
  get gateway(): string {
    return this.#gateways[this.#at % this.#gateways.length]!;
  }

  get isInCall(): boolean {
    return this.#isInCall;
  }

  /** Its device; the last one while it has none. */
  get callId(): string | undefined {
    return this.#device;
  }

  talk(): void {
    if (!this.#isStarted) return;
    const now = performance.now();
    if (now - this.#heardAt > SILENT_MS) {
      if (this.#onRemoved) this.#isOver();
      else this.#connectAgain();
      return;
    }
    for (; this.#dueAt <= now + AHEAD_MS; this.#dueAt += PIECE_MS) this.#socket?.send(this.#wave);
  }

  async call(token: string): Promise<void> {
    this.#token = token;
    const status = await this.#connect();
    if (status !== 101) throw new NotAnswered(status, `program: ${status}`);
    this.#isInCall = true;
  }

  /** Programs offer nothing. */
  offerAgain(): Promise<void> {
    return Promise.resolve();
  }

  hangUp(): Promise<void> {
    this.#isInCall = false;
    clearTimeout(this.#again);
    const socket = this.#socket;
    this.#forget();
    if (socket?.readyState !== WebSocket.OPEN) {
      socket?.terminate();
      return Promise.resolve();
    }
    socket.close(1000);
    return new Promise((resolve) => {
      // A gateway that is paused answers no close.
      const limit = setTimeout(() => socket.terminate(), CONNECT_MS);
      socket.on('close', () => {
        clearTimeout(limit);
        resolve();
      });
    });
  }

  async removed(withinMs: number): Promise<void> {
    if (!this.#isStarted) {
      this.#isOver();
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error('The gateway did not close the socket.')), withinMs);
      this.#onRemoved = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  close(): void {
    this.#isInCall = false;
    clearTimeout(this.#again);
    this.#leave();
  }

  /** @returns the status of the upgrade: 101, a refusal, or 0 when nobody answers */
  #connect(): Promise<number> {
    this.#leave();
    const query = new URLSearchParams({
      token: this.#token,
      rate: String(PHONE_RATE),
      uniqueId: `program-${this.tone}`,
    });
    const socket = new WebSocket(`${this.gateway}/program/?${query.toString()}`, {
      handshakeTimeout: CONNECT_MS,
    });
    this.#socket = socket;
    return new Promise((resolve) => {
      const refused = (status: number): void => {
        if (this.#socket !== socket) return;
        this.#leave();
        this.#at += 1;
        resolve(status);
      };
      const limit = setTimeout(() => refused(0), CONNECT_MS);
      socket.on('error', () => refused(0));
      socket.on('unexpected-response', (_request, { statusCode = 0 }) => refused(statusCode));
      socket.on('message', (data: Buffer, isBinary) => {
        if (this.#socket !== socket) return;
        if (isBinary) this.#hear(data);
        else if (this.#told(data.toString('utf8'))) {
          clearTimeout(limit);
          resolve(101);
        }
      });
      socket.on('close', (code, reason) => {
        clearTimeout(limit);
        if (this.#socket !== socket) return;
        const wasStarted = this.#isStarted;
        refused(0);
        if (wasStarted) this.#closed(code, reason.toString());
      });
    });
  }

  /** @returns whether it is the first message of a connection */
  #told(text: string): boolean {
    const message = JSON.parse(text) as { type: string; connectionId?: string };
    if (message.type === 'interrupted') this.#dueAt = performance.now();
    if (message.type !== 'start') return false;
    this.#device = message.connectionId;
    this.#isStarted = true;
    this.#dueAt = performance.now();
    this.#heardAt = performance.now();
    return true;
  }

  #hear(data: Buffer): void {
    if (data.length !== 2 * PIECE_SAMPLES) return;
    this.#heardAt = performance.now();
    this.hearing.take(Float32Array.from({ length: PIECE_SAMPLES }, (_, i) => data.readInt16LE(2 * i)));
  }

  #closed(code: number, reason: string): void {
    if (this.#onRemoved) {
      this.#isOver();
      return;
    }
    if (!this.#isInCall) return;
    if (code === 1000) this.closings.push(reason);
    this.#connectAgain();
  }

  #connectAgain(): void {
    clearTimeout(this.#again);
    this.#leave();
    this.#again = setTimeout(() => {
      void this.#connect().then((status) => {
        if (!this.#isInCall) this.#leave();
        else if (status !== 101) this.#connectAgain();
      });
    }, AGAIN_MS);
  }

  #isOver(): void {
    this.#isInCall = false;
    clearTimeout(this.#again);
    this.#leave();
    this.#onRemoved?.();
    this.#onRemoved = undefined;
  }

  /** Leaves the socket as if the network had taken it. */
  #leave(): void {
    const socket = this.#socket;
    this.#forget();
    socket?.terminate();
  }

  #forget(): void {
    this.#socket = undefined;
    this.#isStarted = false;
    this.hearing.forget();
  }
}
