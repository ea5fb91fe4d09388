import { SimLeader } from './processes.js';
import type { World } from './world.js';

const LEASE_MS = 3_000;
const RENEW_MS = 1_000;

/** Who leads, by the lease, and what befalls them. */
export class Leaders {
  present!: SimLeader;
  /** With those of before. */
  readonly all: SimLeader[] = [];
  /** Those of before that do not know yet that they are deposed. */
  readonly deposed: SimLeader[] = [];
  readonly #world: World;
  #databaseAwayUntil = 0;

  constructor(world: World) {
    this.#world = world;
    this.#takeOver();
  }

  /** The leader that an edge finds: at times the one before, when it has read the lease before another took it. */
  get named(): SimLeader {
    return this.#world.random.chance(0.1) ? (this.deposed.at(-1) ?? this.present) : this.present;
  }

  /** All faults end. */
  heal(): void {
    this.#databaseAwayUntil = 0;
    for (const leader of [...this.deposed, this.present]) leader.isPaused = false;
  }

  /** The lease is renewed, or taken by another. */
  renew(): void {
    const { now, random, isHealing } = this.#world;
    const { present } = this;
    if (now < this.#databaseAwayUntil) return;
    const isAwake = !present.isDead && !present.isPaused;
    if (isAwake && present.leaseUntil - now < LEASE_MS - RENEW_MS && now < present.leaseUntil)
      present.leaseUntil = now + LEASE_MS;
    if (present.leaseUntil <= now) this.#takeOver();
    // A deposed leader finds out when it is awake, a moment later.
    for (const old of [...this.deposed])
      if (!old.isPaused && !old.isDead && (isHealing || random.chance(0.1))) this.#bury(old);
  }

  /** What leaders have to write gets to the disk by and by. */
  commit(): void {
    const { now, random, isHealing } = this.#world;
    if (now < this.#databaseAwayUntil) return;
    for (const leader of [this.present, ...this.deposed]) {
      if (leader.isDead || leader.isPaused || !leader.store.hasPending) continue;
      if (!isHealing && !random.chance(0.3)) continue;
      if (!leader.store.commit()) this.#bury(leader);
    }
  }

  kill(): void {
    const { present } = this;
    if (present.isDead) return;
    this.#world.note(`leader ${String(present.epoch)} dies`);
    this.#bury(present);
  }

  pause(): void {
    const { present } = this;
    if (present.isDead || present.isPaused) return;
    const ms = this.#world.random.below(6_000);
    this.#world.note(`leader ${String(present.epoch)} pauses for ${String(ms)}`);
    present.isPaused = true;
    this.#world.network.later(ms, () => (present.isPaused = false));
  }

  databaseAway(): void {
    const ms = this.#world.random.below(8_000);
    this.#world.note(`the database is away for ${String(ms)}`);
    this.#databaseAwayUntil = this.#world.now + ms;
  }

  #takeOver(): void {
    const before = this.all.at(-1);
    if (before && !before.isDead) this.deposed.push(before);
    const { database, clock, edges } = this.#world;
    this.present = new SimLeader(database, clock, LEASE_MS, (edgeId) =>
      edges.some(({ id, isDown, areHostsDead }) => id === edgeId && isDown && areHostsDead),
    );
    this.all.push(this.present);
    this.#world.note(`leader ${String(this.present.epoch)}`);
  }

  #bury(leader: SimLeader): void {
    leader.isDead = true;
    for (const edge of this.#world.edges) if (edge.link?.leader === leader) edge.link.cut();
    const at = this.deposed.indexOf(leader);
    if (at >= 0) this.deposed.splice(at, 1);
  }
}
