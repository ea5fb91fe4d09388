/** Opus (RFC 6716, RTP payload RFC 7587) by libopus, decoded directly to the sample rate of the mix. */
import { Decoder, Encoder } from '@evan/opus';
import { fmtpParameter } from '../sdp/index.js';
import {
  type AudioCodec,
  type AudioDecoder,
  type AudioEncoder,
  MAX_PACKET_MS,
  meanSquare,
  type SampleRate,
} from './codec.js';

/** Frame lengths in 48 kHz samples by the TOC byte's configuration number (RFC 6716 section 3.1, table 2). */
const FRAME_SAMPLES = [
  ...[480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880],
  ...[480, 960, 480, 960],
  ...[120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960],
];
const MAX_SAMPLES = 5760;

/** Duration of an Opus packet in 48 kHz samples, by its TOC byte; 0 if it is malformed. */
export function opusDuration(packet: Uint8Array, start: number, end: number): number {
  if (end <= start) return 0;
  const toc = packet[start]!;
  const frame = FRAME_SAMPLES[toc >> 3]!;
  const code = toc & 3;
  if (code < 3) return code === 0 ? frame : 2 * frame;
  if (end - start < 2) return 0;
  const samples = (packet[start + 1]! & 0x3f) * frame;
  return samples > MAX_SAMPLES ? 0 : samples;
}

/** By what decoded audio is cross-faded with concealment that was cut short. */
const OVERLAP_MS = 5;

class OpusDecoder implements AudioDecoder {
  readonly #decoder: Decoder;
  /** A packet of only a TOC byte makes libopus conceal one frame of the stream's own configuration. */
  readonly #lost = new Uint8Array(1);
  readonly #overlap: number;
  #heard = false;
  /** Concealed audio that was not asked for yet, `#rest[#from, #to)`: libopus makes whole frames of it. */
  readonly #rest: Int16Array;
  #from = 0;
  #to = 0;

  constructor(rate: SampleRate) {
    this.#decoder = new Decoder({ channels: 1, sample_rate: rate });
    this.#overlap = (rate / 1000) * OVERLAP_MS;
    this.#rest = new Int16Array((rate / 1000) * MAX_PACKET_MS);
  }

  decode(packet: Buffer, start: number, end: number, out: Int16Array, at: number): number {
    if (opusDuration(packet, start, end) === 0) return 0;
    const samples = this.#run(packet.subarray(start, end), out, at);
    if (samples > 0) {
      this.#lost[0] = packet[start]! & 0xfc;
      this.#heard = true;
      if (this.#from < this.#to) this.#blend(out, at, samples);
    }
    return samples;
  }

  /** By libopus, which fades as G.711 Appendix I does, and into its own decoding of the next packet. */
  conceal(samples: number, out: Int16Array, at: number): void {
    const end = at + samples;
    let done = at;
    while (done < end && this.#heard) {
      if (this.#from === this.#to) {
        this.#from = 0;
        this.#to = this.#run(this.#lost, this.#rest, 0);
        if (this.#to === 0) break;
      }
      for (; done < end && this.#from < this.#to; done += 1, this.#from += 1)
        out[done] = this.#rest[this.#from]!;
    }
    if (done < end) out.fill(0, done, end);
  }

  /** Leads from a concealed frame of which less was needed. */
  #blend(out: Int16Array, at: number, samples: number): void {
    const overlap = Math.min(samples, this.#to - this.#from, this.#overlap);
    for (let i = 0; i < overlap; i += 1) {
      const share = (i + 1) / (overlap + 1);
      out[at + i] = Math.round(out[at + i]! * share + this.#rest[this.#from + i]! * (1 - share));
    }
    this.#from = this.#to;
  }

  /** libopus throws for a payload that is not Opus: only that packet is lost. */
  #run(payload: Uint8Array, out: Int16Array, offset: number): number {
    try {
      const bytes = this.#decoder.decode(payload);
      const samples = Math.min(bytes.byteLength >> 1, out.length - offset);
      out.set(new Int16Array(bytes.buffer, bytes.byteOffset, samples), offset);
      return samples;
    } catch {
      return 0;
    }
  }
}

class OpusEncoder implements AudioEncoder {
  readonly #encoder: Encoder;

  constructor(rate: SampleRate, dtx: boolean) {
    this.#encoder = new Encoder({ channels: 1, sample_rate: rate, application: 'voip' });
    this.#encoder.complexity = 5;
    this.#encoder.inband_fec = true;
    this.#encoder.packet_loss = 5;
    this.#encoder.dtx = dtx;
    this.#encoder.bitrate = rate >= 24_000 ? 32_000 : rate === 16_000 ? 24_000 : 16_000;
  }

  reset(): void {
    this.#encoder.reset();
  }

  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
    const packet = this.#encoder.encode(pcm.subarray(0, samples));
    out.set(packet, offset);
    return packet.length;
  }
}

/** An encoder for audio that never was a mix, at its own rate. */
export function createOpusEncoder(rate: SampleRate): AudioEncoder {
  return new OpusEncoder(rate, false);
}

/** Opus, mixed in mono whatever the number of channels in SDP. */
export const OPUS: AudioCodec = {
  name: 'opus',
  clockRate: 48000,
  channels: 2,
  browserPayloadType: 111,
  // Opus has no frames of 30 ms (RFC 6716 section 2.1.4).
  ptimes: [10, 20, 40, 60],
  // RFC 7587 section 6.1. DTX only on request, since encoders take quiet steady sounds for silence.
  receiveFmtp: (peer, dtx, offered) => {
    const asked = dtx || fmtpParameter(offered, 'usedtx') === '1';
    return `${peer === 'browser' ? 'minptime=10;' : ''}useinbandfec=1${asked ? ';usedtx=1' : ''}`;
  },
  // G.113 has no Opus. Alahmadi, Počta and Melvin ("Opus codec quality evaluation", 2021) for super-wideband speech at
  // 31 kbit/s, variable bit rate and random loss, near to what browsers send.
  speechImpairment: { scale: 'fullband', ie: 16.83, bpl: 10.44, isEstimate: true },
  duration: opusDuration,
  mixRate: (fmtp) => {
    const limit = Number(/(?:^|[;\s])maxplaybackrate=(\d{4,6})/.exec(fmtp ?? '')?.[1] ?? 48000);
    return limit <= 8000 ? 8000 : limit <= 16000 ? 16000 : 48000;
  },
  createDecoder: (rate) => new OpusDecoder(rate),
  // All of its cost is libopus decoding, which costs the same at any rate. To decode only some packets is no way: they build
  // on those before, so that every third alone is wrong by up to 28 dB, and a beginning is found 300 ms late, not 120.
  createLevelMeter: () => {
    const decoder = new OpusDecoder(8000);
    const pcm = new Int16Array(8 * MAX_PACKET_MS);
    return (packet, start, end) => meanSquare(pcm, 0, decoder.decode(packet, start, end, pcm, 0));
  },
  hasCheapLevel: false,
  encoderMemory: 'opaque',
  createEncoder: (rate, fmtp) => new OpusEncoder(rate, /(?:^|[;\s])usedtx=1(?:[;\s]|$)/.test(fmtp ?? '')),
};
