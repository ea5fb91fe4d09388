import type { AudioEncoder, SampleRate } from '../codecs/index.js';
import type { Log } from '../../shared/index.js';
import { FRAME_MS, MixClock } from './mix-clock.js';
import { type MixedDevice, type MixFormat, MixGroup } from './mix-group.js';
import { type MixSet, MixSets } from './mix-set.js';
import { DecoderPool } from './stream-decoder.js';

const lengthAt = (rate: SampleRate): number => (rate / 1000) * FRAME_MS;

/** Encoders kept for each format, and formats: devices choose their parameters. */
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
 * All mixes of a host: which devices hear the same, and so share sum, limiter and encoder. Looks only at devices that hear
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
  readonly #stale = new Set<MixedDevice>();
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

  /** What a device hears may have changed. */
  changed(device: MixedDevice): void {
    if (device.group) this.#stale.add(device);
  }

  /** Before the first mix of a frame: reads the streams, and puts devices that hear the same together. */
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

  /** A device begins to be sent its mix. */
  enter(device: MixedDevice): MixGroup {
    const set = this.#setOf(device);
    const group = this.#makeGroup(device, set);
    const partner = this.#partnerOf(group);
    if (!partner || !group.canJoin(partner, 0)) return group;
    this.#join(group, partner);
    return partner;
  }

  /** A device is not sent its mix for now. */
  leave(device: MixedDevice): void {
    const { group } = device;
    this.#stale.delete(device);
    if (!group) return;
    group.devices.delete(device);
    device.group = undefined;
    if (group.devices.size === 0) this.#drop(group);
  }

  /** Gives a device a group of its own, until {@link rejoin}. */
  isolate(device: MixedDevice): void {
    const { group } = device;
    if (!group) return;
    if (group.devices.size > 1) this.#split(group, [device], group.set);
    device.group!.isAlone = true;
  }

  /** A device that was isolated may hear the same as others again. */
  rejoin(device: MixedDevice): void {
    if (device.group) device.group.isAlone = false;
  }

  #setOf(device: MixedDevice): MixSet {
    const { format, scope } = device;
    return this.#sets.acquire(device.audible(), lengthAt(format.rate), scope, device.ownStream());
  }

  #makeGroup(device: MixedDevice, set: MixSet): MixGroup {
    this.#made += 1;
    const group = new MixGroup(this.#made, device.format, set, this.#encoders.take(device.format));
    group.devices.add(device);
    device.group = group;
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

  /** Sorts devices that hear something else now into other groups. */
  #regroup(): void {
    if (this.#stale.size === 0) return;
    const wanted = new Map<MixedDevice, MixSet>();
    const affected = new Set<MixGroup>();
    for (const device of this.#stale) {
      const set = this.#setOf(device);
      wanted.set(device, set);
      if (device.group && set !== device.group.set) affected.add(device.group);
    }
    this.#stale.clear();
    for (const group of affected) this.#divide(group, wanted);
    for (const set of wanted.values()) this.#sets.release(set);
  }

  /** Most of a group go on with it, the others with copies of it. */
  #divide(group: MixGroup, wanted: ReadonlyMap<MixedDevice, MixSet>): void {
    const parts = new Map<MixSet, MixedDevice[]>([[group.set, []]]);
    for (const device of group.devices) {
      const set = wanted.get(device) ?? group.set;
      const part = parts.get(set);
      if (part) part.push(device);
      else parts.set(set, [device]);
    }
    let largest = group.set;
    for (const [set, devices] of parts) if (devices.length > parts.get(largest)!.length) largest = set;
    for (const [set, devices] of parts) {
      if (set !== largest && devices.length > 0) this.#split(group, devices, set);
    }
    this.#retune(group, largest);
  }

  #retune(group: MixGroup, set: MixSet): void {
    if (set === group.set) return;
    set.users += 1;
    this.#detune(group);
    this.#tune(group, set);
  }

  #split(group: MixGroup, devices: readonly MixedDevice[], set: MixSet): void {
    const [first, ...others] = devices;
    set.users += 1;
    const part = this.#makeGroup(first!, set);
    part.follow(group, this.#frame);
    for (const device of others) this.#move(device, part);
    for (const device of devices) group.devices.delete(device);
  }

  #move(device: MixedDevice, group: MixGroup): void {
    group.devices.add(device);
    device.group = group;
  }

  /** Looks at each frame whether two groups hear the same, and joins them when that will not be heard. */
  #tryToJoin(group: MixGroup, frame: number): void {
    if (!group.set.isShared) {
      group.partner = undefined;
      return;
    }
    const { partner: before } = group;
    // As long as it may be, it stays the same one, so that the time in which both hear the same is known.
    const stays = before && before.devices.size > 0 && before.set === group.set && !before.isAlone;
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
      const isBetter = other.devices.size - best.devices.size || best.id - other.id;
      if (isBetter > 0) best = other;
    }
    return best === group ? undefined : best;
  }

  #join(group: MixGroup, other: MixGroup): void {
    for (const device of group.devices) this.#move(device, other);
    group.devices.clear();
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
