import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** Samples that RNNoise takes at a time: 10 ms at 48 kHz. */
export const RNNOISE_FRAME = 480;

/** Samples by which its output is late: version 0.2 looks ahead by a frame. */
const RNNOISE_DELAY = 2 * RNNOISE_FRAME;

/** What we use of the package's module. */
interface Rnnoise {
  /** Replaced when the memory grows. */
  readonly HEAPF32: Float32Array;
  _malloc(bytes: number): number;
  _free(at: number): void;
  _rnnoise_create(): number;
  _rnnoise_destroy(state: number): void;
  _rnnoise_process_frame(state: number, out: number, input: number): number;
}

/** The types of Node 20 have no WebAssembly. */
interface WasmInstance {
  readonly exports: object;
}
const wasm = (
  globalThis as unknown as {
    WebAssembly: {
      compile(bytes: Uint8Array): Promise<object>;
      Instance: new (module: object, imports: object) => WasmInstance;
    };
  }
).WebAssembly;

interface EmscriptenOptions {
  readonly instantiateWasm: (
    imports: object,
    receive: (instance: WasmInstance, module: object) => void,
  ) => object;
}

/** Share of the sound that is left as it came where nobody speaks: noise is lowered by 11 dB. */
const KEPT = 0.28;
/** Somebody speaks where RNNoise gives speech this probability, ... */
const MAYBE_SPEECH = 0.02;
/** ... and for so many frames after, which have the weak ends of words and the pauses between them. */
const HELD_FRAMES = 60;
/** What is measured as speech has this probability. */
const SURELY_SPEECH = 0.5;
/** Share that is left of speech as loud as the noise; it grows to all where speech is so much louder (dB). */
const KEPT_OF_SPEECH = 0.4;
const CLEAR_DB = 20;
/** Longest means of noise and speech, in frames. */
const NOISE_FRAMES = 20;
const SPEECH_FRAMES = 100;
/** By how much the share of what is left may fall in a frame. */
const FALL = 0.15;

const require = createRequire(import.meta.url);

/** Frames of 10 ms: over how many the power is smoothed whose lowest value counts as noise, and in how many it is sought. */
const FLOOR_SMOOTHING = 20;
const FLOOR_FRAMES = 200;
/** A frame below this has no more than the last bit in it. */
const AUDIBLE = 1;
/** What is less than 3 dB above that is no speech. */
const ABOVE_FLOOR = 2;

const INLINED = 'data:application/octet-stream;base64,';

let loading: Promise<void> | undefined;
let loaded: Rnnoise | undefined;

/**
 * Loads RNNoise, once for the process. Its WebAssembly is compiled apart from the script that holds it as text: to import
 * that as it is would stop the mixes of the process for 200 ms.
 */
export function loadRnnoise(): Promise<void> {
  return (loading ??= load());
}

/** RNNoise for a stream; undefined while it is not loaded. */
export function createRnnoise(): RnnoiseState | undefined {
  return loaded && new RnnoiseState(loaded);
}

async function load(): Promise<void> {
  const script = await readFile(require.resolve('@jitsi/rnnoise-wasm/dist/rnnoise-sync.js'), 'utf8');
  const from = script.lastIndexOf(INLINED) + INLINED.length;
  const to = script.indexOf('"', from);
  const compiled = await wasm.compile(Buffer.from(script.slice(from, to), 'base64'));
  // As a URL, since Node before 20.19 takes the file for CommonJS, which it is not.
  const glue = Buffer.from(script.slice(0, from) + script.slice(to)).toString('base64');
  const { default: create } = (await import(`data:text/javascript;base64,${glue}`)) as {
    default: (options: EmscriptenOptions) => Rnnoise;
  };
  loaded = create({
    instantiateWasm: (imports, receive) => {
      const instance = new wasm.Instance(compiled, imports);
      receive(instance, compiled);
      return instance.exports;
    },
  });
}

/** RNNoise for one stream. What comes out is {@link RNNOISE_DELAY} samples later than what went in. */
export class RnnoiseState {
  /** The two frames before, as they came; the older one comes out. */
  readonly #before = new Int16Array(RNNOISE_DELAY);
  readonly #rnnoise: Rnnoise;
  readonly #state: number;
  readonly #frame: number;
  readonly #share = new KeptShare();

  constructor(rnnoise: Rnnoise) {
    this.#rnnoise = rnnoise;
    this.#state = rnnoise._rnnoise_create();
    this.#frame = rnnoise._malloc(RNNOISE_FRAME * Float32Array.BYTES_PER_ELEMENT);
  }

  /** Whether somebody speaks in the frame that came out last, or did shortly before. */
  get isSpeech(): boolean {
    return this.#share.isSpeech;
  }

  /** Takes a frame of `pcm` from `at`, and writes what comes of it to `out` at the same place. */
  process(pcm: Int16Array, out: Float32Array, at: number): void {
    const heap = this.#rnnoise.HEAPF32;
    const first = this.#frame / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0; i < RNNOISE_FRAME; i += 1) heap[first + i] = pcm[at + i]!;
    const speech = this.#rnnoise._rnnoise_process_frame(this.#state, this.#frame, this.#frame);
    const now = this.#rnnoise.HEAPF32;
    const before = this.#before;
    let kept = this.#share.present;
    const step = (this.#share.next(speech, powerOf(pcm, at), before) - kept) / RNNOISE_FRAME;
    for (let i = 0; i < RNNOISE_FRAME; i += 1) {
      kept += step;
      out[at + i] = (1 - kept) * now[first + i]! + kept * before[i]!;
      before[i] = before[i + RNNOISE_FRAME]!;
      before[i + RNNOISE_FRAME] = pcm[at + i]!;
    }
  }

  free(): void {
    this.#rnnoise._rnnoise_destroy(this.#state);
    this.#rnnoise._free(this.#frame);
  }
}

/**
 * How much of a stream is left as it came. RNNoise takes something from speech, too, and whoever hears speech rise and fall
 * with the noise understands less of it: so the more speech is above the noise, the more of it is left alone.
 */
class KeptShare {
  /** At the end of the last frame. */
  present = KEPT;
  /** Frames for which somebody still counts as speaking. */
  #held = 0;
  readonly #noise = new MeanPower(NOISE_FRAMES);
  readonly #floor = new LowestPower();
  readonly #speech = new MeanPower(SPEECH_FRAMES);

  get isSpeech(): boolean {
    return this.#held > 0;
  }

  /**
   * @param probability of speech in the newest frame @param power of that frame
   * @param pcm the frame that comes out, as it came
   */
  next(probability: number, power: number, pcm: Int16Array): number {
    this.#floor.add(power);
    // RNNoise takes steady noise for speech at times, and for seconds.
    const isAbove = power > ABOVE_FLOOR * this.#floor.power;
    if (probability > MAYBE_SPEECH && isAbove) this.#held = HELD_FRAMES;
    else if (this.#held > 0) this.#held -= 1;
    if (this.#held === 0) this.#noise.add(powerOf(pcm, 0));
    else if (probability > SURELY_SPEECH) this.#speech.add(power);
    const wanted = this.#held === 0 ? KEPT : KEPT_OF_SPEECH + (1 - KEPT_OF_SPEECH) * this.#clearness(power);
    this.present = Math.max(wanted, this.present - FALL);
    return this.present;
  }

  /** 0: speech is hardly above the noise; 1: it is far above. @param power of the newest frame, if it is the first speech */
  #clearness(power: number): number {
    const noise = Number.isNaN(this.#noise.power)
      ? this.#floor.power
      : Math.max(this.#noise.power, this.#floor.power);
    const speech = Number.isNaN(this.#speech.power) ? power : this.#speech.power;
    const db = 10 * Math.log10((speech + 1) / (noise + 1));
    return Math.max(0, Math.min(1, db / CLEAR_DB));
  }
}

/** Mean square of a frame. */
function powerOf(pcm: Int16Array, at: number): number {
  let sum = 0;
  for (let i = at; i < at + RNNOISE_FRAME; i += 1) sum += pcm[i]! * pcm[i]!;
  return sum / RNNOISE_FRAME;
}

/** The lowest power of the last one to two windows, over more than a syllable's dip. */
class LowestPower {
  #smooth = Number.NaN;
  #lowest = Infinity;
  #lowestBefore = Infinity;
  #frames = 0;

  /** 0 before the first frame. */
  get power(): number {
    const lowest = Math.min(this.#lowest, this.#lowestBefore);
    return lowest === Infinity ? 0 : lowest;
  }

  add(power: number): void {
    // Before a stream and in its gaps there is nothing at all, which tells nothing of its noise.
    if (power < AUDIBLE) return;
    this.#smooth = Number.isNaN(this.#smooth)
      ? power
      : this.#smooth + (power - this.#smooth) / FLOOR_SMOOTHING;
    this.#frames += 1;
    this.#lowest = Math.min(this.#lowest, this.#smooth);
    if (this.#frames % FLOOR_FRAMES !== 0) return;
    this.#lowestBefore = this.#lowest;
    this.#lowest = Infinity;
  }
}

/** The mean over all frames at first, and then a running one. */
class MeanPower {
  /** NaN before the first frame. */
  power = Number.NaN;
  #frames = 0;
  readonly #longest: number;

  constructor(longest: number) {
    this.#longest = longest;
  }

  add(power: number): void {
    this.#frames = Math.min(this.#longest, this.#frames + 1);
    const before = this.#frames === 1 ? 0 : this.power;
    this.power = before + (power - before) / this.#frames;
  }
}
