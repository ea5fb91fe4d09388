const TICK_MS = 1_000;
/** A REMB below this part of what we send is a complaint; above, only the browser's caution. */
const COMPLAINT = 0.9;
/** Loss above this part is felt. */
const FELT_LOSS = 0.02;
/** Loss above this part, over a few reports, is congestion; a bad radio link loses less. */
const CONGESTION_LOSS = 0.15;
/** Weight of the newest report and second: single ones are about a few dozen packets. */
const NEWEST = 0.3;
const GROWTH = 1.1;
/** No complaint for so long: the limit may grow. */
const CALM_TICKS = 3;
/** A limit that is so much more than what is sent limits nothing. */
const LIFT = 3;

/** Below this share for so long, only key frames are sent: the publisher has had the time to come down. */
const THIN_SHARE = 0.7;
const THIN_AFTER_TICKS = 4;
const KEY_FRAME_TICKS = 3;
const FIRST_PROBE_TICKS = 10;
const MAX_PROBE_TICKS = 80;
/** All went well for so long after a probe. */
const RELIEVED_TICKS = 20;

/**
 * What one subscriber's network takes of video, by its REMB and losses. While it takes far less than the others
 * want, it gets key frames only: a picture every few seconds and sound throughout, and nobody else comes down.
 */
export class SubscriberBandwidth {
  readonly #onKeyFrameDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** Bits per second. */
  #limit = Infinity;
  #sentRate = 0;
  /** Bits per second over a few seconds: what a part of the packets is a part of. */
  #usualRate = 0;
  #sentBytes = 0;
  #calmTicks = 0;
  #tightTicks = 0;
  #thinTicks = -1;
  #probeTicks = FIRST_PROBE_TICKS;
  #fullTicks = 0;
  #loss = 0;

  /** @param onKeyFrameDue while thinned: the next picture */
  constructor(onKeyFrameDue: () => void) {
    this.#onKeyFrameDue = onKeyFrameDue;
  }

  /** The part of what it is sent that it takes; Infinity when it takes it all. */
  get share(): number {
    return this.#sentRate === 0 ? Infinity : this.#limit / this.#sentRate;
  }

  /** Only key frames are to be sent. */
  get thinned(): boolean {
    return this.#thinTicks >= 0;
  }

  /** It loses packets by its nature, not for want of bandwidth: what is repeated may go twice. */
  get lossy(): boolean {
    return this.#loss > FELT_LOSS && this.#loss <= CONGESTION_LOSS;
  }

  /** Video bytes have gone out. */
  onSent(bytes: number): void {
    this.#sentBytes += bytes;
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** @param bitrate bits per second that the browser thinks it can receive */
  onEstimate(bitrate: number): void {
    if (this.thinned || bitrate >= this.#sentRate * COMPLAINT) return;
    this.#limit = bitrate;
    this.#calmTicks = 0;
  }

  /** @param fraction of the video packets of an interval, 0 to 1 */
  onLoss(fraction: number): void {
    this.#loss += NEWEST * (fraction - this.#loss);
    if (this.thinned || this.#loss <= CONGESTION_LOSS || this.#sentRate === 0) return;
    this.#limit = Math.min(this.#limit, this.#usualRate * (1 - this.#loss / 2));
    this.#calmTicks = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#sentRate = (this.#sentBytes * 8 * 1000) / TICK_MS;
    this.#sentBytes = 0;
    this.#usualRate += (this.#usualRate === 0 ? 1 : NEWEST) * (this.#sentRate - this.#usualRate);
    if (this.thinned) this.#thinTick();
    else this.#fullTick();
  }

  #fullTick(): void {
    this.#calmTicks += 1;
    this.#fullTicks += 1;
    if (this.#calmTicks > CALM_TICKS) this.#limit *= GROWTH;
    if (this.#limit > this.#sentRate * LIFT) this.#limit = Infinity;
    if (this.#fullTicks > RELIEVED_TICKS) this.#probeTicks = FIRST_PROBE_TICKS;
    // A REMB alone may be low because little was sent before; where less fits than is sent, packets get lost.
    const tight = this.share < THIN_SHARE && this.#loss > CONGESTION_LOSS;
    this.#tightTicks = tight ? this.#tightTicks + 1 : 0;
    if (this.#tightTicks >= THIN_AFTER_TICKS) this.#thinTicks = 0;
  }

  #thinTick(): void {
    if (this.#thinTicks % KEY_FRAME_TICKS === 0) this.#onKeyFrameDue();
    this.#thinTicks += 1;
    if (this.#thinTicks < this.#probeTicks) return;
    // Try it all again: after another failure, wait longer for the next try.
    this.#probeTicks = Math.min(MAX_PROBE_TICKS, this.#probeTicks * 2);
    this.#thinTicks = -1;
    this.#tightTicks = 0;
    this.#fullTicks = 0;
    this.#limit = Infinity;
    this.#loss = 0;
  }
}
