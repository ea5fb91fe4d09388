import { ntpMiddle, type ReportBlock, type SenderInfo } from './rtcp.js';
import { SequenceUnwrapper } from './header.js';

/** Loss and jitter of one SSRC, for receiver reports (RFC 3550 appendices A.3 and A.8). */
export class ReceptionStatistics {
  readonly #ssrc: number;
  readonly #clockRate: number;
  readonly #sequence = new SequenceUnwrapper();
  #first = -1;
  #highest = -1;
  #received = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;
  #lastTransit = Number.NaN;
  #jitter = 0;
  #lastReport = 0;
  #lastReportAt = 0;

  constructor(ssrc: number, clockRate: number) {
    this.#ssrc = ssrc;
    this.#clockRate = clockRate;
  }

  get packetsLost(): number {
    return Math.max(0, this.#expected() - this.#received);
  }

  get jitterMs(): number {
    return (this.#jitter * 1000) / this.#clockRate;
  }

  /** @param arrivalMs monotonic */
  onPacket(sequence: number, timestamp: number, arrivalMs: number): void {
    const extended = this.#sequence.unwrap(sequence);
    if (this.#first < 0) this.#first = extended;
    if (extended > this.#highest) this.#highest = extended;
    this.#received += 1;
    const transit = (arrivalMs * this.#clockRate) / 1000 - timestamp;
    const change = Math.abs(transit - this.#lastTransit);
    this.#lastTransit = transit;
    // The first packet has nothing to be compared with; a wrap or jump of timestamps is no jitter.
    if (change < this.#clockRate * 10) this.#jitter += (change - this.#jitter) / 16;
  }

  onSenderReport(info: SenderInfo, arrivalMs: number): void {
    this.#lastReport = ntpMiddle({ seconds: info.ntpSeconds, fraction: info.ntpFraction });
    this.#lastReportAt = arrivalMs;
  }

  /** The block for the next report. Begins a new interval for the fraction lost. */
  report(nowMs: number): ReportBlock {
    const expected = this.#expected();
    const expectedInterval = expected - this.#expectedBefore;
    const lostInterval = expectedInterval - (this.#received - this.#receivedBefore);
    this.#expectedBefore = expected;
    this.#receivedBefore = this.#received;
    return {
      ssrc: this.#ssrc,
      fractionLost:
        expectedInterval <= 0 || lostInterval <= 0 ? 0 : Math.floor((lostInterval * 256) / expectedInterval),
      packetsLost: expected - this.#received,
      highestSequence: Math.max(0, this.#highest - 0x10000) >>> 0,
      jitter: Math.floor(this.#jitter),
      lastSenderReport: this.#lastReport,
      delaySinceLastSenderReport:
        this.#lastReport === 0 ? 0 : Math.round(((nowMs - this.#lastReportAt) * 65536) / 1000),
    };
  }

  #expected(): number {
    return this.#first < 0 ? 0 : this.#highest - this.#first + 1;
  }
}
