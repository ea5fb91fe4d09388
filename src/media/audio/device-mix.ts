import type { PublishedTrack } from '../track.js';
import type { MixedDevice, MixFormat, MixGroup } from './mix-group.js';
import type { MixGroups } from './mix-groups.js';
import type { StreamDecoder, StreamListener } from './stream-decoder.js';

let devices = 0;

/** What one device hears: the sum of the audio tracks delivered to it, limited and encoded. */
export class DeviceMix implements MixedDevice, StreamListener {
  readonly format: MixFormat;
  group: MixGroup | undefined;
  readonly #groups: MixGroups;
  readonly #id = (devices += 1);
  #levelling = true;
  #own: PublishedTrack | undefined;
  #sources = new Map<PublishedTrack, StreamDecoder>();
  /** The same decoders, ordered by id. */
  #decoders: readonly StreamDecoder[] = [];

  constructor(groups: MixGroups, format: MixFormat) {
    this.#groups = groups;
    this.format = format;
  }

  /**
   * Replaces the tracks. Video, and codecs that cannot be mixed, are left out.
   * @param levelling whether the talkers' levels are evened
   */
  setTracks(tracks: readonly PublishedTrack[], levelling = this.#levelling): void {
    const { rate } = this.format;
    const pool = this.#groups.decoders;
    const known = levelling === this.#levelling ? this.#sources : new Map<PublishedTrack, StreamDecoder>();
    const sources = new Map<PublishedTrack, StreamDecoder>();
    for (const track of tracks) {
      if (track.kind !== 'audio' || sources.has(track)) continue;
      const decoder = known.get(track) ?? pool.acquire(track, rate, levelling, this);
      if (decoder) sources.set(track, decoder);
    }
    for (const [track, decoder] of this.#sources) {
      if (sources.get(track) !== decoder) pool.release(track, rate, this.#levelling, this);
    }
    this.#levelling = levelling;
    this.#sources = sources;
    this.#decoders = [...sources.values()].sort((a, b) => a.id - b.id);
    this.streamChanged();
  }

  /** The track that the device publishes. */
  setOwn(track: PublishedTrack | undefined): void {
    this.#own = track;
    if (track) this.#groups.decoders.publishes(track, this);
    this.streamChanged();
  }

  streamChanged(): void {
    this.#groups.changed(this);
  }

  audible(): readonly StreamDecoder[] {
    // Who hears one stream only shares it with nobody more by leaving it out in silence.
    return this.#decoders.length === 1 ? this.#decoders : this.#decoders.filter(({ isAudible }) => isAudible);
  }

  ownStream(): StreamDecoder | undefined {
    const own = this.#own && this.#groups.decoders.find(this.#own, this.format.rate, this.#levelling);
    return own?.isAudible === true ? own : undefined;
  }

  get scope(): number {
    const own = this.#own && this.#groups.decoders.find(this.#own, this.format.rate, this.#levelling);
    const first = this.#decoders[0]?.id ?? Infinity;
    return own ? Math.min(first, own.id) : first === Infinity ? -this.#id : first;
  }

  /**
   * Mixes and encodes a frame (20 ms), if no other device of its group has.
   * @param replaced what the device hears in its place
   * @returns the group, with the packets that the frame completes
   */
  run(frame: number, replaced?: Int16Array): MixGroup {
    this.#groups.advance(frame);
    if (!this.group) this.#groups.enter(this);
    if (replaced) this.#groups.isolate(this);
    else if (this.group!.isAlone) this.#groups.rejoin(this);
    const group = this.group!;
    group.run(frame, replaced);
    return group;
  }

  /** Frames are left out from now on. */
  pause(): void {
    this.#groups.leave(this);
  }

  /** Releases all decoders. */
  close(): void {
    this.#groups.leave(this);
    this.setTracks([]);
  }
}
