import { randomInt } from 'node:crypto';
import type { PublishedTrack } from '../../track.js';
import { forwardedCodec } from '../codecs.js';
import { TrackFanout } from './fanout.js';

/** The fan-outs of all tracks that browsers receive now. */
export class FanoutTable {
  readonly #fanouts = new Map<PublishedTrack, { readonly fanout: TrackFanout; users: number }>();
  readonly #ssrcs = new Set<number>();

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
    return fanout;
  }

  release(fanout: TrackFanout): void {
    const entry = this.#fanouts.get(fanout.track);
    if (entry?.fanout !== fanout) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    fanout.track.detach(fanout);
    this.#fanouts.delete(fanout.track);
    this.#ssrcs.delete(fanout.ssrc);
    this.#ssrcs.delete(fanout.rtxSsrc);
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
