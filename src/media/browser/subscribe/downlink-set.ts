import type { PublishedTrack } from '../../track.js';
import type { ForwardedCodec } from '../codecs.js';
import { Downlink } from '../forward/downlink.js';
import type { FanoutTable } from '../forward/fanout-table.js';
import { SubscriberBandwidth } from './subscriber-bandwidth.js';

/** The tracks that one subscriber receives, by their SSRCs. */
export class DownlinkSet {
  readonly #fanouts: FanoutTable;
  readonly #send: (packet: Buffer) => boolean;
  readonly bandwidth = new SubscriberBandwidth(() => this.requestKeyFrames());
  readonly #byTrack = new Map<PublishedTrack, Downlink>();
  readonly #bySsrc = new Map<number, Downlink>();

  constructor(fanouts: FanoutTable, send: (packet: Buffer) => boolean) {
    this.#fanouts = fanouts;
    this.#send = send;
  }

  of(track: PublishedTrack): Downlink | undefined {
    return this.#byTrack.get(track);
  }

  bySsrc(ssrc: number): Downlink | undefined {
    return this.#bySsrc.get(ssrc);
  }

  /** Keeps exactly these tracks' downlinks; the others stop at once. */
  retain(tracks: readonly PublishedTrack[]): void {
    const wanted = new Set(tracks);
    for (const [track, downlink] of this.#byTrack) {
      if (wanted.has(track)) continue;
      downlink.close();
      this.bandwidth.remove(track);
      this.#fanouts.release(downlink.fanout);
      this.#byTrack.delete(track);
      this.#bySsrc.delete(downlink.fanout.ssrc);
    }
    for (const track of tracks) if (!this.#byTrack.has(track)) this.#add(track);
  }

  /** Nothing is sent any more. */
  close(): void {
    this.retain([]);
    this.bandwidth.stop();
  }

  /** The codec by which a track is forwarded to the subscriber; undefined if it is not forwarded. */
  codecOf(track: PublishedTrack): ForwardedCodec | undefined {
    return this.#byTrack.get(track)?.fanout.codec;
  }

  /** A fresh path has come up: nothing decodes before the next key frame. */
  requestKeyFrames(): void {
    for (const downlink of this.#byTrack.values()) downlink.wantPicture();
  }

  #add(track: PublishedTrack): void {
    const fanout = this.#fanouts.acquire(track);
    if (!fanout) return;
    const downlink = new Downlink(fanout, {
      // Both tracks of a stream share it, so that the browser keeps them in step.
      cname: track.streamId,
      send: this.#send,
      ...(track.kind === 'video' ? { bandwidth: this.bandwidth.add(track) } : {}),
    });
    this.#byTrack.set(track, downlink);
    this.#bySsrc.set(fanout.ssrc, downlink);
  }
}
