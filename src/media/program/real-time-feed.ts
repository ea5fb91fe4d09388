import { FRAME_MS } from '../audio/index.js';

/** It is judged over so many frames: 2 s. */
const WINDOW_FRAMES = 2000 / FRAME_MS;
/** In real time as much comes as is played, by this share of it, and something at least this often. */
const TOLERANCE = 0.1;
const LONGEST_PAUSE_FRAMES = 500 / FRAME_MS;
/** So much stays, beyond what was needed of late. */
const RESERVE_MS = 5;

/**
 * Whether a program sends as its microphone or its own line gives it: then what waits at all times is delay that a stall
 * has left, and may be cut out. What comes in bursts, such as synthetic speech, waits because it came early.
 */
export class RealTimeFeed {
  readonly #frameSamples: number;
  #frames = 0;
  #received = 0;
  #pauseFrames = 0;
  #longestPause = 0;
  #leastWaiting = Infinity;
  /** Samples that may be cut out. */
  spare = 0;

  /** @param frameSamples samples of 20 ms */
  constructor(frameSamples: number) {
    this.#frameSamples = frameSamples;
  }

  /** Samples came. */
  arrived(samples: number): void {
    this.#received += samples;
    this.#pauseFrames = 0;
  }

  /** A frame was played. @param waiting samples that wait still */
  played(waiting: number): void {
    this.#frames += 1;
    this.#pauseFrames += 1;
    this.#longestPause = Math.max(this.#longestPause, this.#pauseFrames);
    this.#leastWaiting = Math.min(this.#leastWaiting, waiting);
    if (this.#frames === WINDOW_FRAMES) this.#judge();
  }

  /** Samples were cut out. */
  cut(samples: number): void {
    this.spare = Math.max(0, this.spare - samples);
  }

  /** Nothing waits any more. */
  reset(): void {
    this.spare = 0;
    this.#restart();
  }

  #judge(): void {
    const played = WINDOW_FRAMES * this.#frameSamples;
    const isRealTime =
      Math.abs(this.#received - played) <= TOLERANCE * played && this.#longestPause <= LONGEST_PAUSE_FRAMES;
    const reserve = (this.#frameSamples * RESERVE_MS) / FRAME_MS;
    this.spare = isRealTime ? Math.max(0, this.#leastWaiting - reserve) : 0;
    this.#restart();
  }

  #restart(): void {
    this.#frames = 0;
    this.#received = 0;
    this.#longestPause = 0;
    this.#leastWaiting = Infinity;
  }
}
