import type { ReportBlock, VoipMetrics } from '../rtp/index.js';
import type { StreamFigures } from './direction-quality.js';

/** Sender reports that are remembered until the receiver refers to them. */
const KEPT_REPORTS = 8;
/** So many reports in a row that run backwards are the receiver's counters starting over. */
const BACKWARD_RUN = 3;
/** A round trip may seem to take less than no time by so much, since both ends round. */
const ROUNDING_MS = 10;
const MAX_ROUND_TRIP_MS = 60_000;
const MAX_JITTER_SECONDS = 10;
/** A receiver may count so many fewer as lost than before, since they were only late. */
const MAX_LATE = 10;
/** Weight of a new round trip in the smoothed one. */
const NEW_WEIGHT = 0.25;

/** What we have sent of a stream. */
interface SentStream {
  readonly packets: number;
  /** Of its timestamps. */
  readonly clockRate: number;
  /** Packets up to the highest number that the receiver reports. Default: all. */
  readonly reached?: number;
  /** Numbers up to there that were not sent, as the publisher's packets were lost on their way to us. */
  readonly skipped?: number;
}

/**
 * What the receiver of one of our streams says of it by RTCP: report blocks (RFC 3550 section 6.4.1) and VoIP metrics
 * (RFC 3611). What cannot be true is not taken: nobody vouches for these numbers.
 */
export class ReceiverReports {
  /** LSR of our last sender reports, and when they were sent. */
  readonly #middles = new Uint32Array(KEPT_REPORTS);
  readonly #sentAt = new Float64Array(KEPT_REPORTS);
  #sent = 0;
  #reporter = -1;
  #highest = 0;
  #backward = 0;
  /** What the last block counted as lost. */
  #reported = 0;
  /** Lost by the reporters before. */
  #lostBefore = 0;
  /** What the present reporter had lost before we began to count. */
  #lostBase = 0;
  /** What we had skipped at the last block, and when we began to count. */
  #skipped = 0;
  #skippedBase = 0;
  #lost: number | undefined;
  #jitterMs: number | undefined;
  #roundTripMs: number | undefined;
  #discardRate: number | undefined;
  /** Our packets when the last report came. */
  #expected = 0;

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** A sender report went out. @param middle of its NTP time */
  onSent(middle: number, nowMs: number): void {
    this.#middles[this.#sent % KEPT_REPORTS] = middle;
    this.#sentAt[this.#sent % KEPT_REPORTS] = nowMs;
    this.#sent += 1;
  }

  /**
   * @param reporter SSRC of who reports
   * @returns false when something in it cannot be true, which is not taken
   */
  onBlock(
    reporter: number,
    block: ReportBlock,
    { packets, clockRate, reached = packets, skipped = 0 }: SentStream,
    nowMs: number,
  ): boolean {
    if (packets === 0 || block.jitter > MAX_JITTER_SECONDS * clockRate) return false;
    if (!this.#follows(reporter, block)) return false;
    this.#skipped = skipped;
    // A receiver knows only sequence numbers: it counts as lost what was never sent to it.
    const own = block.packetsLost - this.#lostBase - (skipped - this.#skippedBase);
    const lost = this.#lostBefore + own;
    if (lost > packets) {
      // Who has heard the stream from another process of ours counts from then.
      this.#lostBase = block.packetsLost;
      this.#skippedBase = skipped;
      return false;
    }
    // Packets that are late after all do not sound any better for it.
    this.#lost = Math.max(0, lost, this.#lost ?? 0);
    // What is under way is neither lost nor received.
    this.#expected = Math.max(this.#lost, Math.min(packets, reached));
    this.#jitterMs = (block.jitter * 1000) / clockRate;
    return block.lastSenderReport === 0 || this.#measureRoundTrip(block, nowMs);
  }

  /** @returns false when something in it cannot be true, which is not taken */
  onVoipMetrics({ discardRate, lossRate, roundTripMs }: VoipMetrics, packets: number): boolean {
    if (packets === 0 || lossRate + discardRate > 1) return false;
    this.#discardRate = discardRate;
    this.#lost ??= Math.round(lossRate * packets);
    this.#expected = packets;
    if (roundTripMs === undefined || this.#sent > 0) return true;
    if (roundTripMs > MAX_ROUND_TRIP_MS) return false;
    // We have no measure of our own, since we send no sender reports.
    this.#roundTripMs = roundTripMs;
    return true;
  }

  /** @param packets how many we have sent */
  figures(packets: number): StreamFigures {
    const discarded =
      this.#discardRate === undefined ? undefined : Math.round(this.#discardRate * this.#expected);
    return {
      packets,
      lost: this.#lost,
      discarded,
      jitterMs: this.#jitterMs,
      roundTripMs: this.#roundTripMs,
      expected: this.#expected,
    };
  }

  /** Whether a block may follow the last one; one of another reporter begins anew. */
  #follows(reporter: number, { highestSequence, packetsLost }: ReportBlock): boolean {
    if (reporter === this.#reporter && (highestSequence - this.#highest) >> 0 < 0) {
      this.#backward += 1;
      if (this.#backward < BACKWARD_RUN) return false;
      this.#reporter = -1;
    }
    // Chromium reports under several SSRCs: one whose counts go on is the same receiver.
    const goesOn = (highestSequence - this.#highest) >> 0 >= 0 && packetsLost >= this.#reported - MAX_LATE;
    this.#reported = packetsLost;
    if (this.#reporter >= 0 && goesOn) this.#reporter = reporter;
    if (reporter !== this.#reporter) {
      this.#reporter = reporter;
      this.#lostBefore = this.#lost ?? 0;
      this.#lostBase = 0;
      this.#skippedBase = this.#skipped;
    }
    this.#backward = 0;
    this.#highest = highestSequence;
    return true;
  }

  /** RFC 3550 section 6.4.1. @returns false when it answers no report of ours, or took no possible time */
  #measureRoundTrip({ lastSenderReport, delaySinceLastSenderReport }: ReportBlock, nowMs: number): boolean {
    let sentAt: number | undefined;
    for (let back = 1; back <= Math.min(this.#sent, KEPT_REPORTS); back += 1) {
      const at = (this.#sent - back) % KEPT_REPORTS;
      if (this.#middles[at] !== lastSenderReport) continue;
      sentAt = this.#sentAt[at];
      break;
    }
    if (sentAt === undefined) return false;
    const took = nowMs - sentAt - delaySinceLastSenderReport / 65.536;
    if (took < -ROUNDING_MS || took > MAX_ROUND_TRIP_MS) return false;
    const present = Math.max(0, took);
    const before = this.#roundTripMs ?? present;
    this.#roundTripMs = before + NEW_WEIGHT * (present - before);
    return true;
  }
}
