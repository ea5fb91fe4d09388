import type { Chunk } from './chunk.js';

const RATE = 16_000;
/** Peak of each tone: about as loud as speech. */
const AMPLITUDE = 0.12;
/** How long a note takes to come and to go, in s: without it, it would click. */
const EDGE_S = 0.01;

interface Note {
  readonly at: number;
  readonly seconds: number;
  readonly hz: number;
  /** It fades like a plucked string. */
  readonly fades?: boolean;
}

interface Tone {
  readonly seconds: number;
  readonly notes: readonly Note[];
}

/** A minor seventh chord and its neighbours, as semitones above A3, one for each bar of two seconds. */
const BARS = [
  [0, 7, 12, 15, 19, 15, 12, 7],
  [-4, 3, 8, 12, 15, 12, 8, 3],
  [3, 10, 15, 19, 22, 19, 15, 10],
  [-2, 5, 10, 14, 17, 14, 10, 5],
];
const NOTE_S = 0.25;
const semitones = (above: number): number => 220 * 2 ** (above / 12);

const TONES: Readonly<Record<string, Tone>> = {
  join: {
    seconds: 0.3,
    notes: [
      { at: 0, seconds: 0.12, hz: 523.25 },
      { at: 0.14, seconds: 0.14, hz: 783.99 },
    ],
  },
  leave: {
    seconds: 0.3,
    notes: [
      { at: 0, seconds: 0.12, hz: 783.99 },
      { at: 0.14, seconds: 0.14, hz: 523.25 },
    ],
  },
  // ETSI TR 101 041: what most of Europe hears while it rings.
  ringback: { seconds: 5, notes: [{ at: 0, seconds: 1, hz: 425 }] },
  music: {
    seconds: 16,
    notes: [...BARS, ...BARS.map((bar) => [...bar].reverse())].flatMap((bar, i) =>
      bar.map((above, j) => ({
        at: i * 2 + j * NOTE_S,
        // The last notes of the piece end with it, so that it can be repeated.
        seconds: Math.min(1.2, 16 - (i * 2 + j * NOTE_S)),
        hz: semitones(above),
        fades: true,
      })),
    ),
  },
};

/** Makes one of the gateway's own tones. @throws Error when there is none of this name */
export function toneChunk(name: string): Chunk {
  const tone = TONES[name];
  if (!tone) throw new Error(`There is no tone ${name}.`);
  const samples = new Float32Array(Math.round(tone.seconds * RATE));
  for (const note of tone.notes) addNote(samples, note);
  return { rate: RATE, channels: [samples] };
}

function addNote(samples: Float32Array, { at, seconds, hz, fades = false }: Note): void {
  const first = Math.round(at * RATE);
  const length = Math.min(samples.length - first, Math.round(seconds * RATE));
  const edge = EDGE_S * RATE;
  for (let i = 0; i < length; i += 1) {
    const envelope = Math.min(1, i / edge, (length - i) / edge) * (fades ? Math.exp(-3 * (i / RATE)) : 1);
    samples[first + i]! += AMPLITUDE * envelope * Math.sin((2 * Math.PI * hz * i) / RATE);
  }
}
