/** Semitones above the first note: up a major scale and down again. */
const SCALE = [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2, 0];
/** Hz of the first note: A2, a man's voice. */
const FIRST_HZ = 110;
const NOTE_S = 0.42;
const PAUSE_S = 0.9;
/** Share of full scale: with its formants the voice is about as loud as a talker on the phone. */
const PEAK = 0.45;
const EDGE_S = 0.03;

/** The first three formants in Hz (G. E. Peterson, H. L. Barney, 1952), of the vowels of "do re mi fa sol la si". */
const VOWELS = {
  o: [570, 840, 2410],
  e: [530, 1840, 2480],
  i: [270, 2290, 3010],
  a: [730, 1090, 2440],
} as const;
const SUNG: readonly (keyof typeof VOWELS)[] = [
  'o',
  'e',
  'i',
  'a',
  'o',
  'a',
  'i',
  'o',
  'i',
  'a',
  'o',
  'a',
  'i',
  'e',
  'o',
];
const BANDWIDTHS = [90, 110, 160];
const WEIGHTS = [1, 0.5, 0.25];

/** How strong a harmonic is: a voice's source falls by 12 dB an octave, and the formants let through what is near them. */
function strength(hz: number, formants: readonly number[]): number {
  const resonance = formants.reduce(
    (sum, formant, i) => sum + WEIGHTS[i]! / (1 + ((hz - formant) / BANDWIDTHS[i]!) ** 2),
    0.02,
  );
  return (FIRST_HZ / hz) * resonance;
}

/** Samples of one period of a note, so that a note takes little time to make: the same thread serves calls. */
const PERIOD = 512;

function periodOf(pitch: number, formants: readonly number[]): Float32Array {
  const period = new Float32Array(PERIOD + 1);
  // Telephony ends at 3.4 kHz.
  for (let harmonic = 1; harmonic * pitch < 3400; harmonic += 1) {
    const amplitude = strength(harmonic * pitch, formants);
    for (let i = 0; i <= PERIOD; i += 1)
      period[i]! += amplitude * Math.sin((2 * Math.PI * ((harmonic * i) % PERIOD)) / PERIOD);
  }
  return period;
}

const made = new Map<number, Int16Array>();

/** A voice that sings a scale, with a pause after it, to be repeated. Mono, 16 bits. */
export function sungScale(rate: number): Int16Array {
  const known = made.get(rate) ?? makeScale(rate);
  made.set(rate, known);
  return known;
}

function makeScale(rate: number): Int16Array {
  const noteLength = Math.round(NOTE_S * rate);
  const sung = new Float32Array(SCALE.length * noteLength);
  SCALE.forEach((semitones, i) => {
    const pitch = FIRST_HZ * 2 ** (semitones / 12);
    addNote(sung, i * noteLength, noteLength, pitch, periodOf(pitch, VOWELS[SUNG[i]!]), rate);
  });
  const loudest = sung.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
  // A whole number of frames of 20 ms, so that the sound repeats without a gap.
  const frame = rate / 50;
  const samples = new Int16Array(Math.ceil((sung.length + PAUSE_S * rate) / frame) * frame);
  sung.forEach((sample, i) => (samples[i] = Math.round((sample / loudest) * PEAK * 32_767)));
  return samples;
}

function addNote(
  out: Float32Array,
  at: number,
  length: number,
  pitch: number,
  period: Float32Array,
  rate: number,
): void {
  const edge = EDGE_S * rate;
  let phase = 0;
  for (let i = 0; i < length; i += 1) {
    const whole = Math.floor(phase);
    const sample = period[whole]! + (phase - whole) * (period[whole + 1]! - period[whole]!);
    out[at + i] = sample * Math.min(1, i / edge, (length - i) / edge);
    // A little vibrato, as singers have.
    const vibrato = 1 + 0.008 * Math.sin((2 * Math.PI * 5 * i) / rate);
    phase = (phase + (PERIOD * pitch * vibrato) / rate) % PERIOD;
  }
}
