import type { AudioCodec, SampleRate } from '../../codecs/index.js';
import { rtpPacket } from '../../rtp/testing/packets.js';
import type { Playout } from '../playout.js';

const READ_MS = 20;

/** When which packet comes: `index` counts the packets of the signal, `at` is in ms. */
export interface Arrival {
  readonly index: number;
  readonly at: number;
}

/** What a listener to a stream heard, read by read. */
export interface Heard {
  readonly pcm: Int16Array;
  /** How long after the moment at which its packet comes on an ideal network a sample is played, at each read, in ms. */
  readonly delays: readonly number[];
  /** Audio that was buffered after each read, in ms. */
  readonly buffered: readonly number[];
  /** What was made up in each read, in ms. */
  readonly madeUp: readonly number[];
}

interface Reading {
  readonly codec: AudioCodec;
  readonly rate: SampleRate;
  readonly signal: Int16Array;
  /** Length of packets in ms. */
  readonly ptime: number;
  readonly arrivals: readonly Arrival[];
  /** Moment of the first read, in ms. */
  readonly firstRead: number;
  readonly seconds: number;
  /** ms between reads; other than 20: the reader's clock is not that of the publisher. */
  readonly readMs?: number;
}

/**
 * Has a playout receive packets and be read at given moments.
 * @param open makes the playout, with the clock that it is to have
 */
export function play(open: (now: () => number) => Playout, reading: Reading): Heard {
  const { codec, rate, signal, ptime, firstRead, seconds, readMs = READ_MS } = reading;
  let now = 0;
  const playout = open(() => now);
  const encoder = codec.createEncoder(rate);
  const samples = (rate / 1000) * ptime;
  const packets = Array.from({ length: Math.floor(signal.length / samples) }, (_, index) => {
    const payload = Buffer.alloc(1500);
    const length = encoder.encode(signal.subarray(index * samples), samples, payload, 0);
    const timestamp = (index * ptime * codec.clockRate) / 1000;
    return rtpPacket({ sequence: index, timestamp, payload: payload.subarray(0, length) });
  });
  const arrivals = [...reading.arrivals].sort((a, b) => a.at - b.at || a.index - b.index);
  const out = new Int16Array((rate / 1000) * READ_MS);
  const reads = Math.floor((seconds * 1000) / READ_MS);
  const pcm = new Int16Array(reads * out.length);
  const [delays, buffered, madeUp]: [number[], number[], number[]] = [[], [], []];
  let [next, newest] = [0, 0];
  for (let read = 0; read < reads; read += 1) {
    const at = firstRead + read * readMs;
    for (; next < arrivals.length && arrivals[next]!.at <= at; next += 1) {
      const { index, at: came } = arrivals[next]!;
      const packet = packets[index]!;
      now = came;
      playout.insert(packet, 12, packet.length);
      newest = Math.max(newest, (index + 1) * ptime);
    }
    now = at;
    const before = playout.concealedMs;
    playout.read(out, out.length);
    pcm.set(out, read * out.length);
    madeUp.push(playout.concealedMs - before);
    buffered.push(playout.delayMs);
    delays.push(at + READ_MS - (newest - playout.delayMs));
  }
  return { pcm, delays, buffered, madeUp };
}
