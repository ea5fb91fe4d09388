const TICK_MS = 1_000;
/** A REMB below this share of what we send is a complaint; above it, the browser is only cautious. */
const COMPLAINT = 0.9;
/** A network that loses more than this share is lossy. */
const FELT_LOSS = 0.02;
/** Loss above this share, over a few reports, is congestion; a bad radio link loses less. */
const CONGESTION_LOSS = 0.15;
/** Weight of the newest report or second in an average: each is about a few dozen packets only. */
const NEWEST = 0.3;
const GROWTH = 1.1;
/** After this long without a complaint the limit may grow. */
const CALM_TICKS = 3;
/** A limit that is this many times what is sent is lifted. */
const LIFT = 3;

/**
 * Repeated packets may take this share of what is sent, and of a limit. More would choke a narrow network,
 * which asks for the same lost packets again and again.
 */
const REPEATED = 0.5;
const REPEATED_OF_LIMIT = 0.15;
/** Bytes that may be repeated in any second: a few packets, also when little else is sent. */
const LEAST_REPEATED = 6_000;

/**
 * When the limit stays below this share of what is sent for so long, in which a publisher could have reduced
 * its rate, only key frames are sent.
 */
const THIN_SHARE = 0.7;
const THIN_AFTER_TICKS = 4;
const KEY_FRAME_TICKS = 3;
const FIRST_PROBE_TICKS = 10;
const MAX_PROBE_TICKS = 80;
/** After this long without trouble a probe has succeeded. */
const RELIEVED_TICKS = 20;

/** One video's share of what a subscriber's network carries. */
class VideoBandwidth {
  readonly #owner: SubscriberBandwidth;
  readonly #onSent: () => void;
  #bytes = 0;
  #rate = 0;

  constructor(owner: SubscriberBandwidth, onSent: () => void) {
    this.#owner = owner;
    this.#onSent = onSent;
  }

  /** Bits per second that may go; Infinity: any number. */
  get limit(): number {
    return this.#owner.limitOf(this.#rate);
  }

  /** Only key frames are to be sent. */
  get thinned(): boolean {
    return this.#owner.thinned;
  }

  /** Packets are lost, but not for lack of bandwidth: repeated ones may be sent twice. */
  get lossy(): boolean {
    return this.#owner.lossy;
  }

  onSent(bytes: number): void {
    this.#bytes += bytes;
    this.#onSent();
  }

  mayRepeat(bytes: number): boolean {
    return this.#owner.mayRepeat(bytes);
  }

  /** Since the last call of {@link takeRate}. */
  get sentBytes(): number {
    return this.#bytes;
  }

  /** Bits per second that have been sent since the last call. */
  takeRate(intervalMs: number): number {
    this.#rate = (this.#bytes * 8 * 1000) / intervalMs;
    this.#bytes = 0;
    return this.#rate;
  }
}

/**
 * How much video a subscriber's network carries, by its REMB and losses. While that is far less than the
 * others want, the subscriber gets only key frames: a picture every few seconds with uninterrupted sound, and
 * the others keep their quality.
 */
export class SubscriberBandwidth {
  readonly #onKeyFrameDue: () => void;
  readonly #videos = new Map<object, VideoBandwidth>();
  #timer: NodeJS.Timeout | undefined;
  /** Bits per second. */
  #limit = Infinity;
  #sentRate = 0;
  /** Bytes that were repeated in this second. */
  #repeatedBytes = 0;
  /** Bits per second that were sent, averaged over a few seconds. */
  #usualRate = 0;
  #calmTicks = 0;
  #tightTicks = 0;
  #thinTicks = -1;
  #probeTicks = FIRST_PROBE_TICKS;
  #fullTicks = 0;
  #loss = 0;

  /** @param onKeyFrameDue called when the next picture is due while only key frames are sent */
  constructor(onKeyFrameDue: () => void) {
    this.#onKeyFrameDue = onKeyFrameDue;
  }

  /** Adds a video. @param key by which it is removed */
  add(key: object): VideoBandwidth {
    const video = new VideoBandwidth(this, () => {
      this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    });
    this.#videos.set(key, video);
    return video;
  }

  remove(key: object): void {
    this.#videos.delete(key);
  }

  /** The share of the limit for all videos that a video sent at this rate gets. */
  limitOf(rate: number): number {
    if (this.#limit === Infinity || this.#sentRate === 0) return this.#limit;
    return (this.#limit * rate) / this.#sentRate;
  }

  /** Only key frames are to be sent. */
  get thinned(): boolean {
    return this.#thinTicks >= 0;
  }

  /** It loses packets, but not for lack of bandwidth: repeated ones may be sent twice. */
  get lossy(): boolean {
    return this.#loss > FELT_LOSS && this.#loss <= CONGESTION_LOSS;
  }

  /** Whether there is room to repeat this many bytes; if so, reserves it. */
  mayRepeat(bytes: number): boolean {
    let sent = 0;
    for (const video of this.#videos.values()) sent += video.sentBytes;
    const usual = Math.max(sent, this.#sentRate / 8);
    const room = Math.max(LEAST_REPEATED, Math.min(usual * REPEATED, (this.#limit / 8) * REPEATED_OF_LIMIT));
    if (this.#repeatedBytes + bytes > room) return false;
    this.#repeatedBytes += bytes;
    return true;
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
    this.#sentRate = 0;
    this.#repeatedBytes = 0;
    for (const video of this.#videos.values()) this.#sentRate += video.takeRate(TICK_MS);
    this.#usualRate += (this.#usualRate === 0 ? 1 : NEWEST) * (this.#sentRate - this.#usualRate);
    if (this.thinned) this.#thinTick();
    else this.#fullTick();
  }

  #fullTick(): void {
    this.#calmTicks += 1;
    this.#fullTicks += 1;
    if (this.#calmTicks > CALM_TICKS) {
      this.#limit *= GROWTH;
      if (this.#limit > this.#sentRate * LIFT) this.#limit = Infinity;
    }
    if (this.#fullTicks > RELIEVED_TICKS) this.#probeTicks = FIRST_PROBE_TICKS;
    // A REMB may be low only because little was sent before. A network that is too narrow loses packets, too.
    const tight = this.#limit < this.#sentRate * THIN_SHARE && this.#loss > CONGESTION_LOSS;
    this.#tightTicks = tight ? this.#tightTicks + 1 : 0;
    if (this.#tightTicks >= THIN_AFTER_TICKS) this.#thinTicks = 0;
  }

  #thinTick(): void {
    if (this.#thinTicks % KEY_FRAME_TICKS === 0) this.#onKeyFrameDue();
    this.#thinTicks += 1;
    if (this.#thinTicks < this.#probeTicks) return;
    // Try the whole video again. A publisher without other subscribers still keeps to the limit. After
    // another failure, wait longer for the next try.
    this.#probeTicks = Math.min(MAX_PROBE_TICKS, this.#probeTicks * 2);
    this.#thinTicks = -1;
    this.#tightTicks = 0;
    this.#fullTicks = 0;
    this.#calmTicks = 0;
    this.#loss = 0;
  }
}
