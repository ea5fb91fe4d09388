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

/**
 * Share of the sound that is left as it came: noise is lowered by 12 dB and not by more, for which speech keeps more of
 * what RNNoise takes for noise. The STOI of speech in quiet
 * noise falls by up to 0.025 without it, by 0.014 with it.
 */
const KEPT = 0.25;

const require = createRequire(import.meta.url);

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

  constructor(rnnoise: Rnnoise) {
    this.#rnnoise = rnnoise;
    this.#state = rnnoise._rnnoise_create();
    this.#frame = rnnoise._malloc(RNNOISE_FRAME * Float32Array.BYTES_PER_ELEMENT);
  }

  /** Takes a frame of `pcm` from `at`, and writes what comes of it to `out` at the same place. */
  process(pcm: Int16Array, out: Float32Array, at: number): void {
    const heap = this.#rnnoise.HEAPF32;
    const first = this.#frame / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0; i < RNNOISE_FRAME; i += 1) heap[first + i] = pcm[at + i]!;
    this.#rnnoise._rnnoise_process_frame(this.#state, this.#frame, this.#frame);
    const now = this.#rnnoise.HEAPF32;
    const before = this.#before;
    for (let i = 0; i < RNNOISE_FRAME; i += 1) {
      out[at + i] = (1 - KEPT) * now[first + i]! + KEPT * before[i]!;
      before[i] = before[i + RNNOISE_FRAME]!;
      before[i + RNNOISE_FRAME] = pcm[at + i]!;
    }
  }

  free(): void {
    this.#rnnoise._rnnoise_destroy(this.#state);
    this.#rnnoise._free(this.#frame);
  }
}
