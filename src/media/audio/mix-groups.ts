import type { AudioEncoder, SampleRate } from '../codecs/index.js';
import type { Log } from '../../shared/index.js';
import { FRAME_MS, MixClock } from './mix-clock.js';
import { type MixedPhone, type MixFormat, MixGroup } from './mix-group.js';
import { type MixSet, MixSets } from './mix-set.js';
import { DecoderPool } from './stream-decoder.js';

const lengthAt = (rate: SampleRate): number => (rate / 1000) * FRAME_MS;

/** Encoders kept for each format, and formats: phones choose their parameters. */
const MAX_SPARE = 8;
const MAX_FORMATS = 16;

/**
 * Encoders of groups that are no more. One of libopus holds memory that the garbage collector does not see, and each time
 * that somebody begins to talk may need one.
 */
class SpareEncoders {
  readonly #spare = new Map<string, AudioEncoder[]>();

  take({ key, codec, rate, fmtp }: MixFormat): AudioEncoder {
    return this.#spare.get(key)?.pop() ?? codec.createEncoder(rate, fmtp);
  }

  give({ key }: MixFormat, encoder: AudioEncoder): void {
    if (!encoder.reset) return;
    const spare = this.#spare.get(key) ?? [];
    if (spare.length >= MAX_SPARE || (!this.#spare.has(key) && this.#spare.size >= MAX_FORMATS)) return;
    encoder.reset();
    spare.push(encoder);
    this.#spare.set(key, spare);
  }
}

/**
 * All mixes of a host: which phones hear the same, and so share sum, limiter and encoder. Looks only at phones that hear
 * something else than in the frame before, and at groups that could be one.
 */
export class MixGroups {
  readonly decoders: DecoderPool;
  readonly #sets = new MixSets();
  readonly #encoders = new SpareEncoders();
  /** Iterating a list allocates nothing in a frame. */
  readonly #groups: MixGroup[] = [];
  /** The groups of each set. */
  readonly #bySet = new Map<MixSet, MixGroup[]>();
  readonly #stale = new Set<MixedPhone>();
  #frame = -1;
  #made = 0;

  /** @param now monotonic time in ms, by which packets come and frames are made */
  constructor(now?: () => number) {
    this.decoders = new DecoderPool(now);
  }

  /** Groups and sets in use. */
  get size(): { readonly groups: number; readonly sets: number } {
    return { groups: this.#groups.length, sets: this.#sets.size };
  }

  /** What a phone hears may have changed. */
  changed(phone: MixedPhone): void {
    if (phone.group) this.#stale.add(phone);
  }

  /** Before the first mix of a frame: reads the streams, and puts phones that hear the same together. */
  advance(frame: number): void {
    if (frame === this.#frame) return;
    this.#frame = frame;
    try {
      this.decoders.read(frame);
    } finally {
      this.#regroup();
      // From the end, since a group that joins another is removed.
      for (let i = this.#groups.length - 1; i >= 0; i -= 1) this.#tryToJoin(this.#groups[i]!, frame);
    }
  }

  /** A phone begins to be sent its mix. */
  enter(phone: MixedPhone): MixGroup {
    const set = this.#setOf(phone);
    const group = this.#makeGroup(phone, set);
    const partner = this.#partnerOf(group);
    if (!partner || !group.canJoin(partner, 0)) return group;
    this.#join(group, partner);
    return partner;
  }

  /** A phone is not sent its mix for now. */
  leave(phone: MixedPhone): void {
    const { group } = phone;
    this.#stale.delete(phone);
    if (!group) return;
    group.phones.delete(phone);
    phone.group = undefined;
    if (group.phones.size === 0) this.#drop(group);
  }

  /** Gives a phone a group of its own, until {@link rejoin}. */
  isolate(phone: MixedPhone): void {
    const { group } = phone;
    if (!group) return;
    if (group.phones.size > 1) this.#split(group, [phone], group.set);
    phone.group!.isAlone = true;
  }

  /** A phone that was isolated may hear the same as others again. */
  rejoin(phone: MixedPhone): void {
    if (phone.group) phone.group.isAlone = false;
  }

  #setOf(phone: MixedPhone): MixSet {
    const { format, scope } = phone;
    return this.#sets.acquire(phone.audible(), lengthAt(format.rate), scope, phone.ownStream());
  }

  #makeGroup(phone: MixedPhone, set: MixSet): MixGroup {
    this.#made += 1;
    const group = new MixGroup(this.#made, phone.format, set, this.#encoders.take(phone.format));
    group.phones.add(phone);
    phone.group = group;
    this.#groups.push(group);
    this.#tune(group, set);
    return group;
  }

  #drop(group: MixGroup): void {
    this.#groups.splice(this.#groups.indexOf(group), 1);
    this.#detune(group);
    this.#encoders.give(group.format, group.encoder);
  }

  #tune(group: MixGroup, set: MixSet): void {
    group.set = set;
    const groups = this.#bySet.get(set);
    if (groups) groups.push(group);
    else this.#bySet.set(set, [group]);
    set.isShared = (groups?.length ?? 0) > 1;
  }

  #detune(group: MixGroup): void {
    const { set } = group;
    const groups = this.#bySet.get(set) ?? [];
    const others = groups.filter((other) => other !== group);
    if (others.length > 0) this.#bySet.set(set, others);
    else this.#bySet.delete(set);
    set.isShared = others.length > 1;
    this.#sets.release(set);
  }

  /** Sorts phones that hear something else now into other groups. */
  #regroup(): void {
    if (this.#stale.size === 0) return;
    const wanted = new Map<MixedPhone, MixSet>();
    const affected = new Set<MixGroup>();
    for (const phone of this.#stale) {
      const set = this.#setOf(phone);
      wanted.set(phone, set);
      if (phone.group && set !== phone.group.set) affected.add(phone.group);
    }
    this.#stale.clear();
    for (const group of affected) this.#divide(group, wanted);
    for (const set of wanted.values()) this.#sets.release(set);
  }

  /** Most of a group go on with it, the others with copies of it. */
  #divide(group: MixGroup, wanted: ReadonlyMap<MixedPhone, MixSet>): void {
    const parts = new Map<MixSet, MixedPhone[]>([[group.set, []]]);
    for (const phone of group.phones) {
      const set = wanted.get(phone) ?? group.set;
      const part = parts.get(set);
      if (part) part.push(phone);
      else parts.set(set, [phone]);
    }
    let largest = group.set;
    for (const [set, phones] of parts) if (phones.length > parts.get(largest)!.length) largest = set;
    for (const [set, phones] of parts) {
      if (set !== largest && phones.length > 0) this.#split(group, phones, set);
    }
    this.#retune(group, largest);
  }

  #retune(group: MixGroup, set: MixSet): void {
    if (set === group.set) return;
    set.users += 1;
    this.#detune(group);
    this.#tune(group, set);
  }

  #split(group: MixGroup, phones: readonly MixedPhone[], set: MixSet): void {
    const [first, ...others] = phones;
    set.users += 1;
    const part = this.#makeGroup(first!, set);
    part.follow(group, this.#frame);
    for (const phone of others) this.#move(phone, part);
    for (const phone of phones) group.phones.delete(phone);
  }

  #move(phone: MixedPhone, group: MixGroup): void {
    group.phones.add(phone);
    phone.group = group;
  }

  /** Looks at each frame whether two groups hear the same, and joins them when that will not be heard. */
  #tryToJoin(group: MixGroup, frame: number): void {
    if (!group.set.isShared) {
      group.partner = undefined;
      return;
    }
    const { partner: before } = group;
    // As long as it may be, it stays the same one, so that the time in which both hear the same is known.
    const stays = before && before.phones.size > 0 && before.set === group.set && !before.isAlone;
    const partner = stays ? before : this.#partnerOf(group);
    if (partner !== before) group.partnerSince = frame;
    group.partner = partner;
    if (!partner || !group.begins(frame)) return;
    if (group.canJoin(partner, frame - group.partnerSince)) this.#join(group, partner);
  }

  /**
   * The largest other group of the same set and format, of those of one size the first made; none if the group itself is
   * that: then the others come to it.
   */
  #partnerOf(group: MixGroup): MixGroup | undefined {
    let best = group;
    for (const other of this.#bySet.get(group.set) ?? []) {
      if (other.format.key !== group.format.key || other.isAlone) continue;
      const isBetter = other.phones.size - best.phones.size || best.id - other.id;
      if (isBetter > 0) best = other;
    }
    return best === group ? undefined : best;
  }

  #join(group: MixGroup, other: MixGroup): void {
    for (const phone of group.phones) this.#move(phone, other);
    group.phones.clear();
    this.#drop(group);
  }
}

/** What all mixes of a plane share. */
export interface Mixing {
  readonly clock: MixClock;
  readonly groups: MixGroups;
}

export function createMixing(log: Log): Mixing {
  const onError = (err: unknown): void => log.error({ err }, 'A mix could not be made or sent.');
  return { clock: new MixClock({ onError }), groups: new MixGroups() };
}
