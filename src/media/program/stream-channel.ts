import { FRAME_MS } from '../audio/index.js';
import { type AudioDecoder, findAudioCodec, MAX_PACKET_MS } from '../codecs/index.js';
import { rtpSequence, rtpSsrc, sequenceDelta } from '../rtp/index.js';
import type { PublishedTrack, TrackSink } from '../track.js';
import type { ProgramRate } from '../types.js';
import { writeSamples } from './samples.js';

/** Missing packets are made up for up to so long; a longer gap is none, but a pause or a jump. */
const MAX_CONCEALED_MS = 100;
/** A packet further behind is of a stream that started over (RFC 3550 A.1). */
const MAX_MISORDER = 100;

/**
 * One stream as a program receives it by itself: decoded when its packets arrive, without waiting for those that are late.
 * In pauses nothing is sent.
 */
export class StreamChannel implements TrackSink {
  readonly track: PublishedTrack;
  readonly #rate: ProgramRate;
  readonly #emit: (pcm: Buffer) => void;
  readonly #decoder: AudioDecoder | undefined;
  /** What one packet is decoded to. */
  readonly #decoded: Int16Array;
  /** A frame of the program, and how much of it is there. */
  readonly #frame: Int16Array;
  #filled = 0;
  #ssrc = -1;
  #sequence = 0;
  #samples = 0;
  /** Audio that was made up in place of missing packets, and packets that came too late, so far. */
  concealedMs = 0;
  discarded = 0;

  /** @param emit takes each 20 ms, in a buffer of its own */
  constructor(track: PublishedTrack, rate: ProgramRate, emit: (pcm: Buffer) => void) {
    this.track = track;
    this.#rate = rate;
    this.#emit = emit;
    const codec = track.pcm ? undefined : findAudioCodec(track.codec.name, track.codec.clockRate);
    this.#decoder = codec?.createDecoder(rate);
    this.#decoded = new Int16Array((rate / 1000) * MAX_PACKET_MS);
    this.#frame = new Int16Array((rate / 1000) * FRAME_MS);
    if (this.#decoder) track.attach(this);
  }

  close(): void {
    this.track.detach(this);
  }

  get played(): { readonly discarded: number; readonly concealedMs: number } {
    return { discarded: this.discarded, concealedMs: this.concealedMs };
  }

  /** A frame of the mix clock: streams that are made in this process come with it. */
  onFrame(frame: number): void {
    if (this.track.pcm?.read(frame, this.#rate, this.#frame) !== true) return;
    this.#emit(bytesOf(this.#frame));
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    if (telephoneEvent || payloadEnd <= payloadOffset || !this.#decoder) return;
    const sequence = rtpSequence(packet);
    const ssrc = rtpSsrc(packet);
    const isSame = ssrc === this.#ssrc;
    const distance = isSame ? sequenceDelta(sequence, this.#sequence) : 1;
    if (isSame && distance <= 0 && distance > -MAX_MISORDER) {
      this.discarded += 1;
      return;
    }
    if (distance > 1) this.#conceal(this.#decoder, distance - 1);
    this.#ssrc = ssrc;
    this.#sequence = sequence;
    this.#samples = this.#decoder.decode(packet, payloadOffset, payloadEnd, this.#decoded, 0);
    this.#take(this.#samples);
  }

  /** Packets are missing, each as long as the last one. */
  #conceal(decoder: AudioDecoder, packets: number): void {
    const packetMs = (this.#samples * 1000) / this.#rate;
    const count = Math.min(packets, Math.floor(MAX_CONCEALED_MS / packetMs));
    if (this.#samples === 0 || packets > count) return;
    for (let i = 0; i < count; i += 1) {
      decoder.conceal(this.#samples, this.#decoded, 0);
      this.#take(this.#samples);
    }
    this.concealedMs += count * packetMs;
  }

  #take(samples: number): void {
    for (let i = 0; i < samples; i += 1) {
      this.#frame[this.#filled] = this.#decoded[i]!;
      this.#filled += 1;
      if (this.#filled < this.#frame.length) continue;
      this.#filled = 0;
      this.#emit(bytesOf(this.#frame));
    }
  }
}

function bytesOf(frame: Int16Array): Buffer {
  const pcm = Buffer.allocUnsafe(2 * frame.length);
  writeSamples(frame, frame.length, pcm, 0);
  return pcm;
}
