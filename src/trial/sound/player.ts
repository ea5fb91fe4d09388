import { sungScale } from './sung-scale.js';

/** A sound that is played once, and who waits for its end. */
interface Queued {
  readonly samples: Int16Array;
  readonly done: () => void;
}

/** Nothing is longer: a longer pause in BXML is cut. */
const MAX_SOUND_S = 120;

/** What a test call says: sounds that are queued, each once, and otherwise a sung scale, over and over. */
export class Player {
  readonly rate: number;
  readonly #scale: Int16Array;
  #at = 0;
  readonly #queue: Queued[] = [];
  #queuedAt = 0;
  /** Whether the scale is sung while nothing is queued. */
  sings = true;

  constructor(rate: number) {
    this.rate = rate;
    this.#scale = sungScale(rate);
  }

  /** Plays samples after those that are queued. Resolves when they are over, or dropped. */
  play(samples: Int16Array): Promise<void> {
    const most = samples.subarray(0, MAX_SOUND_S * this.rate);
    return new Promise((done) => this.#queue.push({ samples: most, done }));
  }

  /** Drops what is queued. */
  stop(): void {
    for (const { done } of this.#queue.splice(0)) done();
    this.#queuedAt = 0;
  }

  /** Writes the next frame. */
  fill(frame: Int16Array): void {
    frame.fill(0);
    const [queued] = this.#queue;
    if (!queued) {
      if (!this.sings) return;
      frame.set(this.#scale.subarray(this.#at, this.#at + frame.length));
      this.#at = (this.#at + frame.length) % this.#scale.length;
      return;
    }
    frame.set(queued.samples.subarray(this.#queuedAt, this.#queuedAt + frame.length));
    this.#queuedAt += frame.length;
    if (this.#queuedAt < queued.samples.length) return;
    this.#queuedAt = 0;
    this.#queue.shift();
    queued.done();
  }
}
