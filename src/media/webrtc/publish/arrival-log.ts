import { sequenceDelta, writeTransportFeedback } from '../../rtp/index.js';

/** Packets told of in one feedback; more arrive in an interval only when somebody floods us. */
const MAX_PACKETS = 1000;

/** Arrival times of a publisher's packets by transport-wide sequence number, for its congestion control. */
export class ArrivalLog {
  #base = -1;
  #arrivals: number[] = [];
  #feedbackCount = 0;

  onPacket(sequence: number, nowMs: number): void {
    if (this.#base < 0 || this.#jumped(sequence)) this.#base = sequence;
    const index = sequenceDelta(sequence, this.#base);
    // Told as lost already, or too far ahead to be true.
    if (index < 0 || index >= MAX_PACKETS) return;
    while (this.#arrivals.length < index) this.#arrivals.push(Number.NaN);
    this.#arrivals[index] = nowMs;
  }

  /** The publisher counts from somewhere else; between two feedbacks we follow. */
  #jumped(sequence: number): boolean {
    return this.#arrivals.length === 0 && Math.abs(sequenceDelta(sequence, this.#base)) >= MAX_PACKETS;
  }

  /** The feedback on what came since the last one; undefined when nothing did. */
  feedback(sender: number, source: number): Buffer | undefined {
    const first = this.#arrivals.findIndex((arrival) => !Number.isNaN(arrival));
    if (first < 0) return undefined;
    const baseSequence = (this.#base + first) & 0xffff;
    const arrivals = this.#arrivals.slice(first);
    this.#base = (this.#base + this.#arrivals.length) & 0xffff;
    this.#arrivals = [];
    this.#feedbackCount += 1;
    return writeTransportFeedback({
      sender,
      source,
      baseSequence,
      arrivals,
      feedbackCount: this.#feedbackCount,
    });
  }
}
