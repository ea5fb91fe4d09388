import type { AudioCodec, AudioEncoder, SampleRate } from '../codecs/index.js';
import { Limiter } from './limiter.js';
import { FRAME_MS } from './mix-clock.js';
import type { MixSet } from './mix-set.js';
import type { StreamDecoder } from './stream-decoder.js';

/** Largest payload of a packet, and 20 ms of samples at 48 kHz. */
const MAX_PAYLOAD = 1920;
/** Frames of the mix that are kept for an encoder that has to begin amid sound: 60 ms. */
const PRIMING_FRAMES = 3;
/** An encoder with memory is exchanged for another only after both heard the same for so many frames: 2 s. */
const JOIN_FRAMES = 100;
/** An encoder whose memory cannot be copied is exchanged after so many frames of silence. */
const QUIET_FRAMES = 3;

/** What mixes need to know of the codec that they are encoded by. */
export type MixCodec = Pick<AudioCodec, 'name' | 'encoderMemory' | 'createEncoder'>;

/** How a mix is encoded. Devices whose formats have the same key can be sent the same payloads. */
export interface MixFormat {
  readonly codec: MixCodec;
  readonly rate: SampleRate;
  /** Parameters that the encoder follows. */
  readonly fmtp: string | undefined;
  /** Length of a packet in ms. */
  readonly ptime: number;
  readonly key: string;
}

/** A device that is sent a mix. */
export interface MixedDevice {
  readonly format: MixFormat;
  group: MixGroup | undefined;
  /** The streams that it hears now, ordered by id. */
  audible(): readonly StreamDecoder[];
  /** Its own stream, while it is audible and others hear it. */
  ownStream(): StreamDecoder | undefined;
  /** Devices share silence only with others of the same scope, which so is about that of a session. */
  readonly scope: number;
}

export function mixFormat(
  codec: AudioCodec,
  fmtp: string | undefined,
  ptime: number,
  encoderFmtp?: string,
): MixFormat {
  const rate = codec.mixRate(fmtp);
  return { codec, rate, fmtp: encoderFmtp, ptime, key: [codec.name, rate, ptime, encoderFmtp].join(' ') };
}

/**
 * Devices that hear the same in the same format: their mix is limited and encoded once. Packets begin at the same frames in
 * all groups of a format, so that a device can go from one to the other between two packets.
 */
export class MixGroup {
  readonly id: number;
  readonly format: MixFormat;
  readonly devices = new Set<MixedDevice>();
  set: MixSet;
  readonly limiter = new Limiter();
  readonly encoder: AudioEncoder;
  /** Its one device hears something of its own instead of the mix at times. */
  isAlone = false;
  /** The group that this one could be part of, and the frame since which both hear the same. */
  partner: MixGroup | undefined;
  partnerSince = 0;
  /** Number of packets that the last frame completed, and the frame that the first of them begins with. */
  ready = 0;
  firstFrame = 0;
  /** What the last frame completed: views of {@link buffers}, of the length of each, which most codecs never change. */
  readonly payloads: Buffer[];
  readonly buffers: readonly Buffer[];
  readonly #frameSamples: number;
  readonly #packetSamples: number;
  readonly #pcm: Int16Array;
  readonly #recent: Int16Array | undefined;
  #filled = 0;
  #begins = 0;
  #frame = -1;
  /** It began with the memory of another. */
  #wasSplit = false;

  /** @param encoder a new one, or one that was reset */
  constructor(id: number, format: MixFormat, set: MixSet, encoder: AudioEncoder) {
    this.id = id;
    const { codec, rate, ptime } = format;
    this.format = format;
    this.set = set;
    this.encoder = encoder;
    this.#frameSamples = (rate / 1000) * FRAME_MS;
    this.#packetSamples = (rate / 1000) * ptime;
    this.#pcm = new Int16Array(this.#packetSamples + this.#frameSamples);
    if (codec.encoderMemory === 'opaque') this.#recent = new Int16Array(PRIMING_FRAMES * this.#frameSamples);
    this.buffers = Array.from({ length: Math.max(1, Math.ceil(FRAME_MS / ptime)) }, () =>
      Buffer.allocUnsafe(MAX_PAYLOAD),
    );
    this.payloads = [...this.buffers];
  }

  /** Whether its encoder or packet has begun. */
  get isFresh(): boolean {
    return this.#frame < 0;
  }

  /** Goes on, for devices that hear something else from a frame on, where their group is. */
  follow(other: MixGroup, frame: number): void {
    this.limiter.follow(other.limiter);
    this.#wasSplit = true;
    // The group may have mixed this frame already.
    const wasMixed = other.#frame === frame;
    this.#filled = wasMixed ? Math.max(0, other.#filled - this.#frameSamples) : other.#filled;
    this.#begins = other.#begins;
    this.#frame = wasMixed ? frame - 1 : other.#frame;
    this.#pcm.set(other.#pcm);
    if (this.encoder.follow) this.encoder.follow(other.encoder);
    else if (other.#recent && this.#recent) this.#prime(other.#recent);
  }

  /**
   * Whether the devices can go to another group of the same set and format, before a frame is mixed, without hearing it.
   * @param frames how long both have heard the same
   */
  canJoin(other: MixGroup, frames: number): boolean {
    if (this.isAlone || other.isAlone || this.limiter.gain !== other.limiter.gain) return false;
    const { encoderMemory } = this.format.codec;
    if (encoderMemory === 'none') return true;
    const isQuiet = this.set.quietFrames >= QUIET_FRAMES;
    if (this.isFresh && encoderMemory === 'opaque') return true;
    // Two that were never one need no time to become alike, as long as there is nothing to hear.
    if (!this.#wasSplit && isQuiet) return true;
    if (frames < JOIN_FRAMES) return false;
    return isQuiet || encoderMemory === 'copied';
  }

  /** Whether packets begin with a frame. */
  begins(frame: number): boolean {
    const { ptime } = this.format;
    // 30 ms packets fit into the frames every 60 ms.
    return (
      ptime <= FRAME_MS || frame % (ptime % FRAME_MS === 0 ? ptime / FRAME_MS : (2 * ptime) / FRAME_MS) === 0
    );
  }

  /**
   * Mixes and encodes a frame, once.
   * @param replaced samples that are sent in place of the mix
   */
  run(frame: number, replaced?: Int16Array): void {
    if (frame === this.#frame) return;
    // Frames were skipped: the packet under way is incomplete.
    if (frame !== this.#frame + 1) this.#filled = 0;
    this.#frame = frame;
    this.ready = 0;
    if (this.#filled === 0) {
      if (!this.begins(frame)) return;
      this.#begins = frame;
    }
    this.set.mix(frame);
    const { pcm } = this.set;
    // Most packets have one frame, and most frames need no limit: then nothing is copied.
    const isWhole = pcm && !replaced && this.limiter.gain === 1 && this.#packetSamples === this.#frameSamples;
    if (isWhole && !this.#recent) {
      this.firstFrame = frame;
      this.#put(pcm);
      return;
    }
    if (replaced) this.#pcm.set(replaced, this.#filled);
    else this.set.limit(this.limiter, this.#pcm, this.#filled);
    if (this.#recent) this.#keep(this.#recent);
    this.#filled += this.#frameSamples;
    this.#encode();
  }

  #encode(): void {
    const samples = this.#packetSamples;
    this.firstFrame = this.#begins;
    for (; this.#filled >= samples; this.#filled -= samples) {
      this.#put(this.#pcm);
      this.#begins += this.format.ptime / FRAME_MS;
      if (this.#filled > samples) this.#pcm.copyWithin(0, samples, this.#filled);
    }
  }

  #put(pcm: Int16Array): void {
    const i = this.ready;
    const buffer = this.buffers[i]!;
    const length = this.encoder.encode(pcm, this.#packetSamples, buffer, 0);
    if (this.payloads[i]!.length !== length) this.payloads[i] = buffer.subarray(0, length);
    this.ready += 1;
  }

  #keep(recent: Int16Array): void {
    recent.copyWithin(0, this.#frameSamples);
    const to = recent.length - this.#frameSamples;
    for (let i = 0; i < this.#frameSamples; i += 1) recent[to + i] = this.#pcm[this.#filled + i]!;
  }

  /** Has an encoder whose memory cannot be copied learn the sound that it goes on with. */
  #prime(recent: Int16Array): void {
    this.#recent!.set(recent);
    const samples = Math.min(this.#packetSamples, this.#frameSamples);
    for (let at = 0; at + samples <= recent.length; at += samples) {
      this.encoder.encode(recent.subarray(at, at + samples), samples, this.buffers[0]!, 0);
    }
  }
}
