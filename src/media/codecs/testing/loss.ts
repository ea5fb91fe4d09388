import { seeded } from '../../audio/testing/signals.js';
import { type AudioCodec, MAX_PACKET_MS, type SampleRate } from '../codec.js';

const PACKET_MS = 20;

/** Which packets of a stream are lost. */
interface LossPattern {
  readonly name: string;
  readonly lost: (packets: number, seed: number) => boolean[];
}

const atRandom = (percent: number): LossPattern => ({
  name: `${percent} % at random`,
  lost: (packets, seed) => {
    const random = seeded(seed);
    return Array.from({ length: packets }, () => random() < percent / 100);
  },
});

/** One in each second, so that it falls anywhere in speech. */
const bursts = (ms: number): LossPattern => ({
  name: `${ms} ms each second`,
  lost: (packets, seed) => {
    const random = seeded(seed);
    const starts: number[] = [];
    for (let second = 0; second < packets / 50; second += 1)
      starts.push(second * 50 + Math.floor(random() * (50 - ms / PACKET_MS)));
    return Array.from({ length: packets }, (_, i) =>
      starts.some((start) => i >= start && i < start + ms / PACKET_MS),
    );
  },
});

export const LOSS_PATTERNS: readonly LossPattern[] = [
  atRandom(3),
  atRandom(10),
  atRandom(20),
  bursts(100),
  bursts(200),
];

/**
 * Speech after it was encoded, lost in part, and decoded.
 * @param fill what takes the place of a lost packet
 */
export function throughLoss(
  codec: AudioCodec,
  rate: SampleRate,
  speech: Int16Array,
  lost: readonly boolean[],
  fill: 'concealment' | 'silence',
): Int16Array {
  const encoder = codec.createEncoder(rate);
  const decoder = codec.createDecoder(rate);
  const samples = (rate / 1000) * PACKET_MS;
  const payload = Buffer.alloc(1500);
  const pcm = new Int16Array((rate / 1000) * MAX_PACKET_MS);
  const heard = new Int16Array(lost.length * samples);
  for (const [i, isLost] of lost.entries()) {
    const length = encoder.encode(speech.subarray(i * samples, (i + 1) * samples), samples, payload, 0);
    if (!isLost) decoder.decode(payload, 0, length, pcm, 0);
    else if (fill === 'concealment') decoder.conceal(samples, pcm, 0);
    else pcm.fill(0);
    heard.set(pcm.subarray(0, samples), i * samples);
  }
  return heard;
}

/** Packets that some speech makes. */
export const packetsOf = (speech: Int16Array, rate: SampleRate): number =>
  Math.floor(speech.length / ((rate / 1000) * PACKET_MS));
