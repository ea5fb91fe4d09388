import { BadMessage } from './dialects/index.js';

/** Marks of a program that were not answered yet, the oldest first. */
export class OpenMarks {
  readonly #most: number;
  #marks: string[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws BadMessage when there are too many */
  add(mark: string): void {
    if (this.#marks.length >= this.#most)
      throw new BadMessage('too-many-marks', 'Too many marks wait to be answered; this one was not taken.');
    this.#marks.push(mark);
  }

  /** Answers come in the order of the marks; some may be of an earlier gateway. */
  answered(mark: string): void {
    const at = this.#marks.indexOf(mark);
    if (at >= 0) this.#marks.splice(0, at + 1);
  }

  /** They will not be answered any more. */
  takeAll(): readonly string[] {
    const marks = this.#marks;
    this.#marks = [];
    return marks;
  }
}
