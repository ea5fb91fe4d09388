import { WebSocket } from 'ws';
import { sine, toneLevel } from './tones.js';
import { until } from './until.js';

type Fields = Readonly<Record<string, unknown>>;

/** A tone counts as heard above this level (dB of full scale), and as gone below the other. */
const HEARD_DB = -35;
const GONE_DB = -50;
/** Length of the audio in which a tone is searched. */
const WINDOW_MS = 200;
const LIMIT = { withinMs: 20_000, everyMs: 10 };

/** A program in the gateway's own dialect, or in another one whose audio is L16 in binary messages. */
export class AudioProgram {
  readonly socket: WebSocket;
  readonly rate: number;
  readonly messages: Fields[] = [];
  /** All that came, channels by their numbers; the mix is number 0. */
  readonly #heard = new Map<number, Buffer[]>();
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #hasHeader: boolean;

  constructor(socket: WebSocket, { rate = 16_000, channels = 'mix' } = {}) {
    this.socket = socket;
    this.rate = rate;
    this.#hasHeader = channels === 'streams';
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#take(data);
      else this.messages.push(JSON.parse(data.toString('utf8')) as Fields);
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => undefined);
  }

  /** Connects to a gateway, and waits for the first message. */
  static async connect(
    wsUrl: string,
    token: string,
    options: { readonly rate?: number; readonly channels?: string; readonly alias?: string } = {},
  ): Promise<AudioProgram> {
    const query = new URLSearchParams({ token });
    for (const [name, value] of Object.entries(options)) query.set(name, String(value));
    const program = new AudioProgram(new WebSocket(`${wsUrl}/program/?${query.toString()}`), options);
    await program.message('start');
    return program;
  }

  send(message: Fields): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends seconds of a tone at once, each in a message. */
  playTone(frequency: number, seconds: number): void {
    const tone = sine(frequency, this.rate);
    for (let second = 0; second < seconds; second += 1) this.socket.send(Buffer.from(tone(this.rate).buffer));
  }

  /** Waits for a message whose `type` or `event` this is and that fits; it may have come already. */
  async message(name: string, fits: (message: Fields) => boolean = () => true): Promise<Fields> {
    const find = (): Fields | undefined =>
      this.messages.find((found) => [found['type'], found['event']].includes(name) && fits(found));
    await until(`a message ${name}`, () => find() !== undefined, LIMIT);
    return find()!;
  }

  /** Milliseconds of audio that came. */
  heardMs(channel = 0): number {
    const bytes = (this.#heard.get(channel) ?? []).reduce((sum, { length }) => sum + length, 0);
    return (bytes / 2 / this.rate) * 1000;
  }

  /** Waits until so much more audio has come. */
  async listens(ms: number, channel = 0): Promise<void> {
    const enough = this.heardMs(channel) + ms;
    await until(`${ms} ms of audio`, () => this.heardMs(channel) >= enough, LIMIT);
  }

  /** Level of a tone in the latest audio, in dB of full scale. */
  level(frequency: number, channel = 0): number {
    const bytes = Buffer.concat((this.#heard.get(channel) ?? []).slice(-WINDOW_MS / 20));
    const samples = Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
    return toneLevel(samples, frequency, this.rate);
  }

  async hears(frequency: number, channel = 0): Promise<void> {
    await until(
      `${frequency} Hz`,
      () => this.level(frequency, channel) > HEARD_DB,
      this.#limit(frequency, channel),
    );
  }

  async hearsNoMore(frequency: number, channel = 0): Promise<void> {
    await until(
      `no ${frequency} Hz`,
      () => this.level(frequency, channel) < GONE_DB,
      this.#limit(frequency, channel),
    );
  }

  /** Cuts the connection without a close frame. */
  cut(): void {
    this.socket.terminate();
  }

  #limit(frequency: number, channel: number) {
    const seen = () => ({
      level: this.level(frequency, channel),
      heardMs: this.heardMs(channel),
      told: this.messages.slice(-5),
      isOpen: this.socket.readyState === WebSocket.OPEN,
    });
    return { ...LIMIT, seen: () => Promise.resolve(seen()) };
  }

  #take(data: Buffer): void {
    const channel = this.#hasHeader ? data.readUInt32LE(0) : 0;
    const pcm = this.#hasHeader ? data.subarray(4) : data;
    const heard = this.#heard.get(channel) ?? [];
    this.#heard.set(channel, heard);
    heard.push(pcm);
  }
}
