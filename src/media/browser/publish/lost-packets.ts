import { SequenceUnwrapper, writeNack } from '../../rtp/index.js';

const TICK_MS = 10;

/** Sequence numbers in one NACK: one datagram of modest size. */
const MAX_SEQUENCES = 200;

/** Most packets missing at a time; with more, only a key frame helps. */
const MAX_MISSING = 300;
const MAX_TRIES = 8;
const MIN_PAUSE_MS = 25;
const MAX_PAUSE_MS = 300;

interface Missing {
  readonly sequence: number;
  dueAt: number;
  askedAt: number;
  tries: number;
}

/** Knows which packets of one SSRC are missing and when to ask for them (again). */
class LostPackets {
  readonly #unwrapper = new SequenceUnwrapper();
  readonly #missing = new Map<number, Missing>();
  #highest = -1;
  /** Smoothed time from asking to receiving; a guess before the first answer. */
  #roundTripMs = 60;
  #measured = false;

  get count(): number {
    return this.#missing.size;
  }

  /**
   * Takes the sequence number of a packet that came, repeated ones included.
   * @returns false when too much is lost to ask for it: then nothing counts as missing any more
   */
  onPacket(sequence: number, nowMs: number): boolean {
    const extended = this.#unwrapper.unwrap(sequence);
    if (this.#highest < 0 || extended <= this.#highest) {
      this.#recovered(extended, nowMs);
      if (this.#highest < 0) this.#highest = extended;
      return true;
    }
    const gap = extended - this.#highest - 1;
    const bearable = gap + this.#missing.size <= MAX_MISSING;
    if (!bearable) this.#missing.clear();
    else this.#miss(this.#highest + 1, extended, nowMs);
    this.#highest = extended;
    return bearable;
  }

  /** Sequence numbers to ask for now, ascending. */
  due(nowMs: number): number[] {
    const due: number[] = [];
    for (const [extended, missing] of this.#missing) {
      if (missing.dueAt > nowMs) continue;
      if (missing.tries >= MAX_TRIES) {
        this.#missing.delete(extended);
        continue;
      }
      missing.tries += 1;
      missing.askedAt = nowMs;
      missing.dueAt = nowMs + Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, 1.5 * this.#roundTripMs));
      due.push(missing.sequence);
    }
    return due;
  }

  #miss(from: number, to: number, nowMs: number): void {
    for (let extended = from; extended < to; extended += 1) {
      this.#missing.set(extended, {
        sequence: extended & 0xffff,
        // At once, as browsers do: if the network only reordered packets, one repeat is wasted.
        dueAt: nowMs,
        askedAt: 0,
        tries: 0,
      });
    }
  }

  #recovered(extended: number, nowMs: number): void {
    const missing = this.#missing.get(extended);
    if (!missing) return;
    this.#missing.delete(extended);
    // After a second request it is unknown which of the two was answered.
    if (missing.tries !== 1) return;
    const sample = nowMs - missing.askedAt;
    this.#roundTripMs = this.#measured ? this.#roundTripMs + (sample - this.#roundTripMs) / 8 : sample;
    this.#measured = true;
  }
}

interface LossRepairOptions {
  readonly localSsrc: number;
  readonly ssrc: number;
  readonly send: (packet: Buffer) => void;
  /** More is lost than can be repeated. */
  readonly onUnrepairable: () => void;
}

/** Asks the publisher for lost packets of one SSRC (RFC 4585 section 6.2.1), again until they come or are too old. */
export class LossRepair {
  readonly #options: LossRepairOptions;
  readonly #lost = new LostPackets();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LossRepairOptions) {
    this.#options = options;
  }

  /** @param sequence of a packet that came, first sent or repeated */
  onPacket(sequence: number, nowMs: number): void {
    const before = this.#lost.count;
    if (!this.#lost.onPacket(sequence, nowMs)) this.#options.onUnrepairable();
    if (this.#lost.count <= before) return;
    this.#ask(nowMs);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#ask(performance.now());
    if (this.#lost.count === 0) this.stop();
  }

  #ask(nowMs: number): void {
    const due = this.#lost.due(nowMs).slice(0, MAX_SEQUENCES);
    const { localSsrc, ssrc, send } = this.#options;
    if (due.length > 0) send(writeNack(localSsrc, ssrc, due));
  }
}
