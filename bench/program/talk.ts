/** The phones and programs of bench/program.ts, which send every 20 ms and measure when a loud frame arrives. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { AUDIO_CODECS } from '../../src/media/codecs/index.js';
import { RTP_FIXED_HEADER, writeRtpHeader } from '../../src/media/rtp/index.js';
import { sine } from '../../src/media/phone/testing/spectrum.js';

const FRAME_MS = 20;
/** Frames between two loud ones of a room; those of the phone and of the program take turns. */
const MARK_EVERY = 25;
/** Samples with a larger mean square are of the loud frame. */
const LOUD = 2_000 ** 2;
/** Of programs, in Hz. */
export const RATE = 16_000;
/** Programs only hear: less work for the process that plays all of them, so that less of the delay is its own. */
const IS_ONE_WAY = process.env['BENCH_ONE_WAY'] === '1';
/** Bytes before the samples of a stream of its own: docs/programs.md. */
const CHANNEL_BYTES = 4;

const PCMU = AUDIO_CODECS.find(({ name }) => name === 'PCMU')!;

export async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

export async function connected(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

const packetOf = (amplitude: number): Buffer => {
  const packet = Buffer.alloc(RTP_FIXED_HEADER + 160);
  PCMU.createEncoder(8000).encode(sine(1000, 8000, 160, 0, amplitude), 160, packet, RTP_FIXED_HEADER);
  return packet;
};
const samplesOf = (amplitude: number): Buffer =>
  Buffer.from(sine(1000, RATE, RATE / 50, 0, amplitude).buffer);

const [SILENT_PACKET, LOUD_PACKET] = [packetOf(0), packetOf(16_000)];
const [SILENT_SAMPLES, LOUD_SAMPLES] = [samplesOf(0), samplesOf(16_000)];

function isLoud(samples: Int16Array): boolean {
  return samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length > LOUD;
}

/** What was measured: ms from the sending of a loud frame to its arrival. */
export interface Delays {
  readonly phoneToPhone: number[];
  readonly phoneToProgram: number[];
  readonly programToPhone: number[];
}

/** One phone that talks, another one that hears it, and a program that both hears and is heard by the second. */
export class Room {
  readonly #delays: Delays;
  readonly #talker: Socket;
  readonly #ports: { readonly talkerPort: number };
  readonly #program: WebSocket;
  readonly #packet = Buffer.alloc(SILENT_PACKET.length);
  #phoneMarkedAt = 0;
  #programHeard = true;
  #programMarkedAt = 0;

  constructor(
    sockets: { readonly talker: Socket; readonly listener: Socket; readonly program: WebSocket },
    ports: { readonly talkerPort: number },
    delays: Delays,
    hasChannels: boolean,
  ) {
    this.#talker = sockets.talker;
    this.#program = sockets.program;
    this.#ports = ports;
    this.#delays = delays;
    const decoder = PCMU.createDecoder(8000);
    const pcm = new Int16Array(960);
    sockets.listener.on('message', (packet) => {
      if (packet[1]! >= 192) return;
      const samples = decoder.decode(packet, RTP_FIXED_HEADER, packet.length, pcm, 0);
      if (isLoud(pcm.subarray(0, samples))) this.#heardByPhone();
    });
    sockets.program.on('message', (data: Buffer, isBinary) => {
      if (!isBinary || this.#programHeard) return;
      const bytes = data.subarray(hasChannels ? CHANNEL_BYTES : 0);
      const samples = Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
      if (!isLoud(samples)) return;
      this.#programHeard = true;
      this.#delays.phoneToProgram.push(performance.now() - this.#phoneMarkedAt);
    });
  }

  /** Sends the frame of this moment. @param number rooms mark at different frames */
  send(frame: number, number: number): void {
    const turn = (frame + number) % (2 * MARK_EVERY);
    const now = performance.now();
    if (turn === 0) {
      this.#phoneMarkedAt = now;
      this.#programMarkedAt = 0;
      this.#programHeard = false;
    } else if (turn === MARK_EVERY) {
      this.#programMarkedAt = now;
      this.#phoneMarkedAt = 0;
    }
    (turn === 0 ? LOUD_PACKET : SILENT_PACKET).copy(this.#packet);
    writeRtpHeader(this.#packet, 0, false, frame & 0xffff, frame * 160, 1000 + number);
    this.#talker.send(this.#packet, this.#ports.talkerPort, '127.0.0.1');
    if (!IS_ONE_WAY) this.#program.send(turn === MARK_EVERY ? LOUD_SAMPLES : SILENT_SAMPLES);
  }

  #heardByPhone(): void {
    const now = performance.now();
    if (this.#phoneMarkedAt > 0 && now - this.#phoneMarkedAt < (MARK_EVERY - 1) * FRAME_MS) {
      this.#delays.phoneToPhone.push(now - this.#phoneMarkedAt);
      // The program may hear the same mark later.
      this.#phoneMarkedAt = this.#programHeard ? 0 : this.#phoneMarkedAt;
    } else if (this.#programMarkedAt > 0) {
      this.#delays.programToPhone.push(now - this.#programMarkedAt);
      this.#programMarkedAt = 0;
    }
  }
}

/** Calls back every 20 ms, each room at another moment of them, as phones are. */
export async function talk(
  seconds: number,
  rooms: number,
  send: (frame: number, room: number) => void,
): Promise<void> {
  const origin = performance.now();
  const slots = 10;
  for (let slot = 0; slot * (FRAME_MS / slots) < seconds * 1000; slot += 1) {
    await pause(Math.max(0, origin + slot * (FRAME_MS / slots) - performance.now()));
    const frame = Math.floor(slot / slots);
    for (let room = slot % slots; room < rooms; room += slots) send(frame, room);
  }
}
