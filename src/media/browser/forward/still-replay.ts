import { sequenceDelta, timestampDelta } from '../../rtp/index.js';
import type { TrackFanout } from './fanout.js';

/** A publisher that is sending answers a request for a key frame within this time, or else the next one. */
const WAIT_MS = 500;
/** Most replays while a publisher sends nothing: browsers keep asking even when they have all of it. */
const MAX_REPLAYS = 2;
const REPLAY_PAUSE_MS = 3_000;
/** Packets and interval of the bursts of a replay: about 8 Mbit/s, like a camera's key frame. */
const SLICE_PACKETS = 8;
const SLICE_MS = 10;
/** Time (in 1/90000 s) between the last picture of a replay and the publisher's next one. */
const MARGIN = 18_000;
/** Longest time between two pictures of a replay, short because the last should be seen at once. */
const MAX_STEP = 3_000;
/** Time that a replay spans for a subscriber that was sent nothing before. */
const SPAN = 27_000;
/** This many sequence numbers after a replay, no packet from before it can come any more. */
const MAX_LATE = 1_000;

interface StillReplayOptions {
  readonly fanout: TrackFanout;
  /** Whether the subscriber was sent anything of the track before. */
  readonly started: () => boolean;
  /** @param isKey the packet is the first of the picture @returns whether it went out */
  readonly send: (packet: Buffer, isKey: boolean) => boolean;
}

/**
 * Sends a subscriber the kept picture when it asks for a key frame and the publisher sends nothing. The
 * packets are numbered after those that the subscriber was sent, and later packets are numbered after them.
 */
export class StillReplay {
  readonly #options: StillReplayOptions;
  #shift = 0;
  /** The newest number of the fan-out when the last replay began; -1: there was none, or long ago. */
  #from = -1;
  #waiting: NodeJS.Timeout | undefined;
  #slices: NodeJS.Timeout | undefined;
  /** The last replay: its picture, first sequence number, timestamps, and number of packets sent. */
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

  /** Offset from the fan-out's sequence numbers to the subscriber's. */
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
   * Called before each packet of the publisher: finishes a replay that is under way.
   * @param sequence the fan-out's number @returns whether to send it: not if it is from before the replay
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
    // For a subscriber that was sent nothing, the replay ends at the newest number, so that later packets
    // need no shift.
    const first = (newest + this.#shift + 1 - (isFirst ? count : 0)) & 0xffff;
    const timestamps = this.#spread(count, isFirst, now);
    const generation = fanout.track.picture!.generation;
    // Without a transport nothing is sent; a key frame is requested again when the transport is up.
    if (!this.#options.send(fanout.picturePacket(0, first, timestamps[0]!), true)) return;
    this.#replays += 1;
    [this.#first, this.#timestamps, this.#generation, this.#done] = [first, timestamps, generation, 1];
    if (!isFirst) this.#shift += count;
    this.#from = newest;
    this.#slices = setInterval(() => this.#tick(), SLICE_MS);
    this.#slice(SLICE_PACKETS);
  }

  /** Timestamps between the last one sent to the subscriber and the next that may come. */
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

  /**
   * Sends the rest at once, or drops it when another picture has begun: its numbers then go to the next
   * packets.
   */
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
