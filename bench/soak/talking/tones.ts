import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { muLawDecode, muLawEncode, PHONE_RATE, sine } from '../../../test/support/tones.js';
import type { Address } from './addresses.js';
import { AMPLITUDE, Hearing, hertz, PIECE_MS, PIECE_SAMPLES } from './hearing.js';

const PCMU = 0;
const HEADER = 12;
const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => muLawDecode(byte));

/** The media of a phone that says a tone, and recognises those of all others in what it hears. */
export class Tones {
  readonly hearing = new Hearing();
  /** RTP packets that did not follow upon the one before. */
  breaks = 0;
  /** Longest time between two packets, in ms, since it was set to 0. */
  longestGapMs = 0;
  readonly #socket: Socket;
  readonly #packet = Buffer.alloc(HEADER + PIECE_SAMPLES);
  #remote: Address | undefined;
  #sequence = 0;
  #timestamp = 0;
  #dueAt = 0;
  #last: { readonly ssrc: number; readonly sequence: number; readonly at: number } | undefined;

  private constructor(socket: Socket, tone: number) {
    this.#socket = socket;
    const wave = sine(hertz(tone), PHONE_RATE, AMPLITUDE)(PIECE_SAMPLES);
    this.#packet[0] = 0x80;
    this.#packet[1] = PCMU;
    this.#packet.set(Array.from(wave, muLawEncode), HEADER);
    socket.on('message', (packet) => this.#take(packet));
  }

  /** @param host the phone's own address */
  static async open(tone: number, host: string): Promise<Tones> {
    const socket = createSocket('udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    return new Tones(socket, tone);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** A call begins: the tone goes to this address. */
  start(remote: Address): void {
    this.#remote = remote;
    this.#dueAt = performance.now();
    this.#packet.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), 8);
    this.#last = undefined;
    this.hearing.forget();
    this.breaks = 0;
  }

  /** The other end has moved, within the call. */
  redirect(remote: Address): void {
    if (this.#remote) this.#remote = remote;
  }

  /** The call is over. */
  stop(): void {
    this.#remote = undefined;
    this.hearing.forget();
  }

  /** Sends what is due by now. */
  send(): void {
    if (!this.#remote) return;
    for (; this.#dueAt <= performance.now(); this.#dueAt += PIECE_MS) {
      this.#packet.writeUInt16BE(this.#sequence, 2);
      this.#packet.writeUInt32BE(this.#timestamp, 4);
      this.#sequence = (this.#sequence + 1) & 0xffff;
      this.#timestamp = (this.#timestamp + PIECE_SAMPLES) >>> 0;
      // A copy: the socket sends later.
      this.#socket.send(Buffer.from(this.#packet), this.#remote.port, this.#remote.host);
    }
  }

  close(): void {
    this.#socket.close();
  }

  #take(packet: Buffer): void {
    if (packet.length !== HEADER + PIECE_SAMPLES || (packet[1]! & 0x7f) !== PCMU || !this.#remote) return;
    const at = performance.now();
    const [ssrc, sequence] = [packet.readUInt32BE(8), packet.readUInt16BE(2)];
    const last = this.#last;
    if (last) {
      this.longestGapMs = Math.max(this.longestGapMs, at - last.at);
      if (ssrc !== last.ssrc || sequence !== ((last.sequence + 1) & 0xffff)) this.breaks += 1;
    }
    this.#last = { ssrc, sequence, at };
    this.hearing.take(Float32Array.from(packet.subarray(HEADER), (byte) => LINEAR[byte]!));
  }
}
