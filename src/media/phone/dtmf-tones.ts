/** Frequencies of ITU-T Q.23 by row and column of the keypad, in Hz. */
const ROWS = [697, 770, 852, 941] as const;
const COLUMNS = [1209, 1336, 1477, 1633] as const;
/** Keypad order of the events of RFC 4733: 0-9, star, pound, A-D. */
const KEYPAD = '123A456B789C*0#D';
const EVENTS = '0123456789*#ABCD';
/** Of each of the two tones: about -9 dBm0 together, well within what detectors take. */
const AMPLITUDE = 6000;

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
