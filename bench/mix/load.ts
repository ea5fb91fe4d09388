/** The phones of bench/mix.ts: sockets that send a packet every 20 ms and measure when the mix comes back. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import type { AudioCodec } from '../../src/media/codecs/index.js';
import { RTP_FIXED_HEADER, writeRtpHeader } from '../../src/media/rtp/index.js';
import { sine } from '../../src/media/phone/testing/spectrum.js';

const FRAME_MS = 20;
/** Frames between two loud ones. */
const MARK_EVERY = 25;

/** A mix with a higher root mean square contains the loud packet. */
const LOUD = 2500;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Load {
  readonly #sockets: Socket[];
  readonly #silence: Buffer;
  readonly #payloadType: number;
  readonly #speak: (amplitude: number) => Buffer;
  /** When the first phone sent a loud packet. */
  #markedAt = 0;
  sent = 0;
  received = 0;
  /** ms from the loud packet's sending to its arrival in another phone's mix. */
  readonly delays: number[] = [];

  private constructor(sockets: Socket[], codecName: string) {
    this.#sockets = sockets;
    const codec = findAudioCodec(codecName, 8000)!;
    const rate = codec.mixRate();
    this.#payloadType = codec.payloadType!;
    this.#speak = speaker(codec);
    this.#silence = speaker(codec)(0);
    const decoder = codec.createDecoder(rate);
    const pcm = new Int16Array(rate / 10);
    sockets.forEach((socket, i) =>
      socket.on('message', (packet) => {
        this.received += 1;
        if (i !== sockets.length - 1 || this.#markedAt === 0 || packet[1]! >= 192) return;
        const samples = decoder.decode(packet, RTP_FIXED_HEADER, packet.length, pcm, 0);
        const energy = pcm.subarray(0, samples).reduce((sum, sample) => sum + sample * sample, 0);
        if (energy / samples < LOUD ** 2) return;
        this.delays.push(performance.now() - this.#markedAt);
        this.#markedAt = 0;
      }),
    );
  }

  static async open(phones: number, codec: string): Promise<Load> {
    const sockets = Array.from({ length: phones }, () => createSocket('udp4'));
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    return new Load(sockets, codec);
  }

  get ports(): number[] {
    return this.#sockets.map((socket) => socket.address().port);
  }

  /** Sends for a time; the first phone sends a loud packet now and then. */
  async run(ports: readonly number[], seconds: number): Promise<void> {
    const origin = performance.now();
    const packets: Buffer[] = this.#sockets.map(() => Buffer.from(this.#silence));
    for (let frame = 0; frame * FRAME_MS < seconds * 1000; frame += 1) {
      await sleep(Math.max(0, origin + frame * FRAME_MS - performance.now()));
      const isLoud = frame % MARK_EVERY === MARK_EVERY - 1;
      packets[0] = this.#speak(isLoud ? 16000 : 0);
      this.#sockets.forEach((socket, i) => {
        const packet = packets[i]!;
        writeRtpHeader(packet, this.#payloadType, false, frame & 0xffff, frame * 160, 1000 + i);
        if (isLoud && i === 0) this.#markedAt = performance.now();
        socket.send(packet, ports[i], '127.0.0.1');
        this.sent += 1;
      });
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

/** Encodes a tone frame by frame, each into a packet of its own. */
function speaker(codec: AudioCodec): (amplitude: number) => Buffer {
  const rate = codec.mixRate();
  const encoder = codec.createEncoder(rate);
  return (amplitude) => {
    const out = Buffer.alloc(500);
    const pcm = sine(1000, rate, rate / 50, 0, amplitude);
    return out.subarray(0, RTP_FIXED_HEADER + encoder.encode(pcm, pcm.length, out, RTP_FIXED_HEADER));
  };
}
