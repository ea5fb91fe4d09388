/** The phones of bench/mix.ts: sockets that send a packet every 20 ms and measure when the mix comes back. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { AUDIO_CODECS } from '../../src/media/codecs/index.js';
import type { AudioCodec } from '../../src/media/codecs/index.js';
import { RTP_FIXED_HEADER, writeRtpHeader } from '../../src/media/rtp/index.js';
import { seeded } from '../../src/media/audio/testing/signals.js';
import { sine } from '../../src/media/phone/testing/spectrum.js';
import type { BenchCodec, Scene } from './contestant.js';

const FRAME_MS = 20;
/** Frames between two loud ones. */
const MARK_EVERY = 25;
const MAX_PACKET = 500;

/**
 * A mix with a higher root mean square contains the loud packet, or the larger part of it: levelled and encoded twice, that
 * is 3700 where it fills a packet of the mix.
 */
const LOUD = 1500;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Mean length of a talkspurt (ITU-T P.59: 1.0 s), in frames. */
const SPURT_FRAMES = 50;
/** Payload type of Opus, which has no static one. */
const DYNAMIC = 111;

export class Load {
  readonly #sockets: Socket[];
  readonly #scene: Scene;
  /** Encoded without a break, as of a phone whose microphone is off: one packet again and again may be loud. */
  readonly #beSilent: (amplitude: number) => Buffer;
  /** A second of sound, packet by packet. */
  readonly #sound: readonly Buffer[];
  /** RTP clock units of a frame. */
  readonly #units: number;
  readonly #payloadType: number;
  readonly #speak: (amplitude: number) => Buffer;
  /** When the first phone sent a loud packet. */
  #markedAt = 0;
  /** The next frame: what is sent goes on after a pause where it was. */
  #frame = 0;
  /** When the frame 0 was, or would have been without pauses. */
  #origin = 0;
  sent = 0;
  received = 0;
  /** ms from the loud packet's sending to its arrival in another phone's mix. */
  readonly delays: number[] = [];

  private constructor(sockets: Socket[], scene: Scene, codecName: BenchCodec) {
    this.#sockets = sockets;
    this.#scene = scene;
    const codec = AUDIO_CODECS.find(({ name }) => name === codecName)!;
    const rate = codec.mixRate();
    this.#units = codec.clockRate / 50;
    this.#payloadType = codec.payloadType ?? DYNAMIC;
    this.#speak = speaker(codec);
    const sound = speaker(codec);
    // With syllables, as speech has them.
    this.#sound = Array.from({ length: 50 }, (_, i) => sound(6000 * (1.1 + Math.sin(i / 2))));
    this.#beSilent = speaker(codec);
    const decoder = codec.createDecoder(rate);
    const pcm = new Int16Array(rate / 10);
    sockets.forEach((socket, i) =>
      socket.on('message', (packet) => {
        this.received += 1;
        if (i !== sockets.length - 1 || packet[1]! >= 192) return;
        // All of them: what a codec with memory makes of packets after a gap may be loud.
        const samples = decoder.decode(packet, RTP_FIXED_HEADER, packet.length, pcm, 0);
        if (this.#markedAt === 0) return;
        const energy = pcm.subarray(0, samples).reduce((sum, sample) => sum + sample * sample, 0);
        if (energy / samples < LOUD ** 2) return;
        this.delays.push(performance.now() - this.#markedAt);
        this.#markedAt = 0;
      }),
    );
  }

  static async open(scene: Scene, codec: BenchCodec): Promise<Load> {
    const sockets = Array.from({ length: scene.phones }, () => createSocket('udp4'));
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    return new Load(sockets, scene, codec);
  }

  get ports(): number[] {
    return this.#sockets.map((socket) => socket.address().port);
  }

  /**
   * Sends for a time, and is done when the next frame is due: more may follow at once.
   * @param phase when in 20 ms packets are sent after a pause, from 0 to 1: delays depend on how that is to a mixer's clock
   */
  async run(ports: readonly number[], seconds: number, phase = 0): Promise<void> {
    if (performance.now() > this.#due + FRAME_MS) {
      const next = (Math.ceil(performance.now() / FRAME_MS) + phase) * FRAME_MS;
      this.#origin = next - this.#frame * FRAME_MS;
      await this.#untilDue();
    }
    const end = this.#frame + (seconds * 1000) / FRAME_MS;
    const packets: Buffer[] = this.#sockets.map(() => Buffer.alloc(MAX_PACKET));
    const { talk } = this.#scene;
    const talks = talk === 'turns' ? this.#turns() : () => talk === 'all';
    while (this.#frame < end) {
      const frame = this.#frame;
      const isLoud = talk === 'marks' && frame % MARK_EVERY === MARK_EVERY - 1;
      const silence = this.#beSilent(0);
      const mark = talk === 'marks' ? this.#speak(isLoud ? 16000 : 0) : silence;
      this.#sockets.forEach((socket, i) => {
        const sound = talks(i) ? this.#sound[frame % this.#sound.length]! : i === 0 ? mark : silence;
        sound.copy(packets[i]!);
        const packet = packets[i]!.subarray(0, sound.length);
        writeRtpHeader(packet, this.#payloadType, false, frame & 0xffff, frame * this.#units, 1000 + i);
        if (isLoud && i === 0) this.#markedAt = performance.now();
        socket.send(packet, ports[i], '127.0.0.1');
        this.sent += 1;
      });
      this.#frame += 1;
      await this.#untilDue();
    }
  }

  /** When the next frame is due. */
  get #due(): number {
    return this.#origin + this.#frame * FRAME_MS;
  }

  #untilDue(): Promise<void> {
    return sleep(Math.max(0, this.#due - performance.now()));
  }

  /** Two-state talkers: spurts and pauses of random length, so that of a session one talks at a time on average. */
  #turns(): (phone: number) => boolean {
    const random = seeded(7);
    const others = Math.max(1, (this.#scene.session ?? this.#scene.phones) - 1);
    const talking = this.#sockets.map(() => random() < 1 / (others + 1));
    return (phone) => {
      const mean = talking[phone] === true ? SPURT_FRAMES : SPURT_FRAMES * others;
      if (random() < 1 / mean) talking[phone] = talking[phone] !== true;
      return talking[phone] === true;
    };
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
    const out = Buffer.alloc(MAX_PACKET);
    const pcm = sine(1000, rate, rate / 50, 0, amplitude);
    return out.subarray(0, RTP_FIXED_HEADER + encoder.encode(pcm, pcm.length, out, RTP_FIXED_HEADER));
  };
}
