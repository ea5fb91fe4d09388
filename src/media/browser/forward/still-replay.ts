import { sequenceDelta, timestampDelta } from '../../rtp/index.js';
import type { TrackFanout } from './fanout.js';

/** A publisher that sends answers a request for a key frame within this time, or the next request. */
const WAIT_MS = 500;
/** Replays while a publisher sends nothing: browsers go on asking for key frames when they have all there is. */
const MAX_REPLAYS = 2;
const REPLAY_PAUSE_MS = 3_000;
/** Some 8 Mbit/s, no more than a key frame of a camera comes with. */
const SLICE_PACKETS = 8;
const SLICE_MS = 10;
/** Left (in 1/90000 s) between the last picture of a replay and the next that may come. */
const MARGIN = 18_000;
/** Pictures of a replay follow each other by at most so much: the last is to be seen at once. */
const MAX_STEP = 3_000;
/** What a replay for a subscriber that was sent nothing yet takes by its timestamps. */
const SPAN = 27_000;
/** A packet from before the replay that comes so much later is none. */
const MAX_LATE = 1_000;

interface StillReplayOptions {
  readonly fanout: TrackFanout;
  /** Whether the subscriber was sent anything of the track before. */
  readonly started: () => boolean;
  /** @param isKey the picture begins @returns whether it went out */
  readonly send: (packet: Buffer, isKey: boolean) => boolean;
}

/**
 * Sends one subscriber what is kept of a picture, when it asks for a key frame and the publisher sends nothing. The
 * packets get numbers of their own behind those that the subscriber was sent, and what comes later follows them.
 */
export class StillReplay {
  readonly #options: StillReplayOptions;
  #shift = 0;
  /** The newest number of the fan-out when the last replay began; -1: there was none, or long ago. */
  #from = -1;
  #waiting: NodeJS.Timeout | undefined;
  #slices: NodeJS.Timeout | undefined;
  /** Of the last replay: which picture, its first number, its timestamps, how much of it went. */
  #generation = -1;
  #first = 0;
  #timestamps: readonly number[] = [];
  #done = 0;
  #lastTimestamp = -1;
  #stillSince = 0;
  #replays = 0;
  #endedAt = -Infinity;

  constructor(options: StillReplayOptions) {
    this.#options = options;
  }

  /** From the numbers of the fan-out to those of the subscriber. */
  get shift(): number {
    return this.#shift;
  }

  /** The subscriber asked for a key frame, and the publisher was asked for one. */
  keyFrameRequested(): void {
    if (this.#options.fanout.track.picture === undefined || this.#waiting || this.#slices) return;
    this.#waiting = setTimeout(() => this.#look(), WAIT_MS);
  }

  stop(): void {
    clearTimeout(this.#waiting);
    clearInterval(this.#slices);
    this.#waiting = undefined;
    this.#slices = undefined;
  }

  /**
   * A packet of the publisher is about to follow: it finds the replay finished.
   * @param sequence the fan-out's number @returns whether it is to go: what is from before the replay is not
   */
  makesWay(sequence: number): boolean {
    if (this.#from < 0) return true;
    if (this.#slices) this.#finish();
    const distance = sequenceDelta(sequence, this.#from);
    if (distance > MAX_LATE) this.#from = -1;
    return distance > 0;
  }

  /** A packet of the last replay, valid until the next is forwarded. @param sequence the subscriber's number */
  packet(sequence: number): Buffer | undefined {
    const index = (sequence - this.#first) & 0xffff;
    if (index >= this.#done || !this.#current()) return undefined;
    return this.#options.fanout.picturePacket(index, sequence, this.#timestamps[index]!);
  }

  #look(): void {
    this.#waiting = undefined;
    const { picture } = this.#options.fanout.track;
    const now = performance.now();
    if (!picture || now - picture.newestAt < WAIT_MS) return;
    if (picture.newestAt !== this.#stillSince) {
      this.#stillSince = picture.newestAt;
      this.#replays = 0;
    }
    if (this.#replays >= MAX_REPLAYS || now - this.#endedAt < REPLAY_PAUSE_MS) return;
    this.#begin(picture.count, now);
  }

  #begin(count: number, now: number): void {
    const { fanout, started } = this.#options;
    if (count === 0) return;
    const isFirst = !started();
    const newest = fanout.newestSequence;
    // Who was sent nothing yet gets numbers that what comes later follows as it is.
    const first = (newest + this.#shift + 1 - (isFirst ? count : 0)) & 0xffff;
    const timestamps = this.#spread(count, isFirst, now);
    const generation = fanout.track.picture!.generation;
    // A path that is not there yet is told of when it is.
    if (!this.#options.send(fanout.picturePacket(0, first, timestamps[0]!), true)) return;
    this.#replays += 1;
    [this.#first, this.#timestamps, this.#generation, this.#done] = [first, timestamps, generation, 1];
    if (!isFirst) this.#shift += count;
    this.#from = newest;
    this.#slices = setInterval(() => this.#tick(), SLICE_MS);
    this.#slice(SLICE_PACKETS);
  }

  /** Timestamps between the last that the subscriber was sent and the next that may come. */
  #spread(count: number, isFirst: boolean, now: number): number[] {
    const { fanout } = this.#options;
    const picture = fanout.track.picture!;
    let pictures = 1;
    for (let i = 1; i < count; i += 1) {
      if (picture.timestamp(i) !== picture.timestamp(i - 1)) pictures += 1;
    }
    const last = fanout.timestampAt(now) - MARGIN;
    const room = isFirst
      ? SPAN
      : Math.min(timestampDelta(last, fanout.newestTimestamp), this.#sinceLast(last));
    const step = Math.max(1, Math.min(MAX_STEP, Math.floor(room / pictures)));
    let timestamp = last - step * (pictures - 1);
    const timestamps = [timestamp >>> 0];
    for (let i = 1; i < count; i += 1) {
      if (picture.timestamp(i) !== picture.timestamp(i - 1)) timestamp += step;
      timestamps.push(timestamp >>> 0);
    }
    return timestamps;
  }

  #sinceLast(timestamp: number): number {
    return this.#lastTimestamp < 0 ? Infinity : timestampDelta(timestamp, this.#lastTimestamp);
  }

  #current(): boolean {
    return this.#options.fanout.track.picture?.generation === this.#generation;
  }

  #tick(): void {
    if (this.#current()) this.#slice(SLICE_PACKETS);
    else this.#finish();
  }

  #slice(packets: number): void {
    const { fanout, send } = this.#options;
    const end = Math.min(this.#timestamps.length, this.#done + packets);
    for (; this.#done < end; this.#done += 1) {
      const sequence = (this.#first + this.#done) & 0xffff;
      send(fanout.picturePacket(this.#done, sequence, this.#timestamps[this.#done]!), false);
    }
    if (this.#done === this.#timestamps.length) this.#end();
  }

  /** With all that is left, or, when another picture has begun, without: its numbers go to what comes now. */
  #finish(): void {
    if (this.#current()) {
      this.#slice(this.#timestamps.length);
      return;
    }
    this.#shift -= this.#timestamps.length - this.#done;
    this.#end();
  }

  #end(): void {
    clearInterval(this.#slices);
    this.#slices = undefined;
    this.#endedAt = performance.now();
    this.#lastTimestamp = this.#timestamps[this.#done - 1]!;
  }
}
