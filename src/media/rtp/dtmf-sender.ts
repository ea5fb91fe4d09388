/** Frequencies of ITU-T Q.23 by row and column of the keypad, in Hz. */
const ROWS = [697, 770, 852, 941] as const;

const COLUMNS = [1209, 1336, 1477, 1633] as const;

/** Keypad order of the events of RFC 4733: 0-9, star, pound, A-D. */
const KEYPAD = '123A456B789C*0#D';

const EVENTS = '0123456789*#ABCD';

/** Amplitude of each of the two tones: about -9 dBm0 together, well within the range of detectors. */
const AMPLITUDE = 6000;

const DIGITS = '0123456789*#ABCD';
/** -10 dBm0, the usual level (RFC 4733 section 2.3.3). */
const VOLUME = 10;
const END = 0x80;
/** The last packet goes out three times (RFC 4733 section 2.5.1.4). */
const END_REPEATS = 3;
/** Pause from the end of one digit to the next; the repeated end packets are sent in it. */
const MIN_GAP_MS = 60;
const MAX_GAP_MS = 6000;
const DEFAULT_GAP_MS = 100;
const MIN_DURATION_MS = 40;
const MAX_DURATION_MS = 6000;
const DEFAULT_DURATION_MS = 100;
/** Most digits that may wait; more are refused. */
const MAX_QUEUE = 128;

/** Bytes of an event’s payload (RFC 4733 section 2.3). */
export const DTMF_PAYLOAD_LENGTH = 4;

interface Press {
  readonly event: number;
  readonly durationMs: number;
  readonly gapMs: number;
}

/**
 * Plays queued digits as telephone events (RFC 4733), one packet each time `next` is called. The caller owns time,
 * sequence numbers and the header.
 */
export class DtmfSender {
  readonly #queue: Press[] = [];
  #press: Press | undefined;
  #elapsedMs = 0;
  #ends = 0;
  #gapMs = 0;
  /** Set by `next`: the packet begins a key press, so that it needs the marker bit and a new timestamp. */
  begins = false;
  /** Set by `next`: the packet repeats the end of the key press. */
  repeatsEnd = false;

  /** Whether digits are being sent; audio is left out meanwhile (RFC 4733 section 2.2). */
  get busy(): boolean {
    return this.#press !== undefined || this.#gapMs > 0 || this.#queue.length > 0;
  }

  /** How many digits {@link add} takes now. */
  get room(): number {
    return MAX_QUEUE - this.#queue.length;
  }

  /**
   * Queues digits of a length, with a pause after each; other characters are ignored, since dialled strings
   * contain spaces and dashes.
   * @returns how many digits were taken
   */
  add(digits: string, durationMs = DEFAULT_DURATION_MS, gapMs = DEFAULT_GAP_MS): number {
    const press = {
      durationMs: Math.min(MAX_DURATION_MS, Math.max(MIN_DURATION_MS, durationMs)),
      gapMs: Math.min(MAX_GAP_MS, Math.max(MIN_GAP_MS, gapMs)),
    };
    let taken = 0;
    for (const digit of digits.toUpperCase()) {
      const event = DIGITS.indexOf(digit);
      if (event < 0 || this.#queue.length >= MAX_QUEUE) continue;
      this.#queue.push({ event, ...press });
      taken += 1;
    }
    return taken;
  }

  /**
   * Moves on by `stepMs` and writes the payload that is due.
   * @returns whether there is a packet; false in the pause between two digits
   */
  next(stepMs: number, clockRate: number, out: Buffer, offset: number): boolean {
    this.begins = false;
    this.repeatsEnd = false;
    if (this.#gapMs > 0) {
      this.#gapMs -= stepMs;
      return false;
    }
    if (!this.#press) {
      this.#press = this.#queue.shift();
      if (!this.#press) return false;
      this.#elapsedMs = 0;
      this.#ends = 0;
      this.begins = true;
    }
    const press = this.#press;
    this.#elapsedMs = Math.min(press.durationMs, this.#elapsedMs + stepMs);
    const ended = this.#elapsedMs >= press.durationMs;
    // A duration beyond 16 bits (1.3 s at 48 kHz) stays at the maximum, so that a press is one segment.
    const duration = Math.min(0xffff, Math.round((this.#elapsedMs * clockRate) / 1000));
    out[offset] = press.event;
    out[offset + 1] = (ended ? END : 0) | VOLUME;
    out[offset + 2] = duration >>> 8;
    out[offset + 3] = duration & 0xff;
    if (ended) {
      this.repeatsEnd = this.#ends > 0;
      this.#ends += 1;
      if (this.#ends === END_REPEATS) {
        this.#press = undefined;
        // The repeated ends are part of the pause.
        this.#gapMs = press.gapMs - (END_REPEATS - 1) * stepMs;
      }
    }
    return true;
  }
}

/** Makes the two tones of a key, for phones that did not agree to telephone events. */
export class DtmfTones {
  #samples = 0;

  /** Begins a key press: the tones start at zero. */
  begin(): void {
    this.#samples = 0;
  }

  /** Writes the next `samples` samples of a key's tones to `pcm` from `at`. */
  write(event: number, sampleRate: number, pcm: Int16Array, at: number, samples: number): void {
    const key = KEYPAD.indexOf(EVENTS[event]!);
    const low = (2 * Math.PI * ROWS[key >> 2]!) / sampleRate;
    const high = (2 * Math.PI * COLUMNS[key & 3]!) / sampleRate;
    for (let i = 0; i < samples; i += 1, this.#samples += 1) {
      const tones = Math.sin(low * this.#samples) + Math.sin(high * this.#samples);
      pcm[at + i] = Math.round(AMPLITUDE * tones);
    }
  }
}
