import { randomInt } from 'node:crypto';
import type { PublishedTrack } from '../../track.js';
import { forwardedCodec } from '../codecs.js';
import { TrackFanout } from './fanout.js';

const TICK_MS = 1_000;
/** Ticks between sender reports for tracks whose publisher sends none. */
const REPORT_TICKS = 5;

/** The fan-outs of all tracks that browsers receive now. */
export class FanoutTable {
  readonly #fanouts = new Map<PublishedTrack, { readonly fanout: TrackFanout; users: number }>();
  readonly #ssrcs = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;

  /** The track's fan-out, to be given back by {@link release}; undefined when its codec is not forwarded. */
  acquire(track: PublishedTrack): TrackFanout | undefined {
    const known = this.#fanouts.get(track);
    if (known) {
      known.users += 1;
      return known.fanout;
    }
    const codec = forwardedCodec(track.kind, track.codec);
    if (!codec) return undefined;
    const fanout = new TrackFanout(track, codec, { ssrc: this.#newSsrc(), rtxSsrc: this.#newSsrc() });
    this.#fanouts.set(track, { fanout, users: 1 });
    track.attach(fanout);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    return fanout;
  }

  release(fanout: TrackFanout): void {
    const entry = this.#fanouts.get(fanout.track);
    if (entry?.fanout !== fanout) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    fanout.track.detach(fanout);
    fanout.track.limitBitrate(fanout, undefined);
    this.#fanouts.delete(fanout.track);
    this.#ssrcs.delete(fanout.ssrc);
    this.#ssrcs.delete(fanout.rtxSsrc);
    if (this.#fanouts.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#ticks += 1;
    for (const { fanout } of this.#fanouts.values()) {
      if (fanout.track.kind === 'video') fanout.adaptBitrate();
      if (this.#ticks % REPORT_TICKS === 0) fanout.reportOwnClock();
    }
  }

  #newSsrc(): number {
    for (;;) {
      const ssrc = randomInt(1, 2 ** 32);
      if (this.#ssrcs.has(ssrc)) continue;
      this.#ssrcs.add(ssrc);
      return ssrc;
    }
  }
}
