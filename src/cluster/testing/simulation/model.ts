import { Applications } from './applications.js';
import { AtRest } from './at-rest.js';
import { Devices } from './devices.js';
import { EdgeFaults } from './edge-faults.js';
import { Leaders } from './leaders.js';
import { SimLink } from './network.js';
import { SimEdge } from './processes.js';
import { World } from './world.js';

const EDGES = 3;
const TICK_MS = 20;
/** Of a tick or two: a leader has died, the next one gives an edge up, and forgets it. */
const FORGOTTEN_PASSES = 1_300;
/** One seed in so many goes on, after its rest, with devices of all edges in one session: that takes a while. */
const GATHERING = 5;

/**
 * Leaders, edges and devices on a network that loses, delays and parts, with processes that die and pause; driven by
 * pseudo-random steps, all of them repeated by the same seed.
 */
export class Model {
  readonly #world: World;
  readonly #gathers: boolean;
  /** In some runs leaders live for long, and time passes faster: then edges are given up. */
  readonly #isCalm: boolean;
  readonly #leaders: Leaders;
  readonly #devices: Devices;
  readonly #faults: EdgeFaults;
  readonly #applications: Applications;
  /** What was wrong before all came to rest. */
  readonly #wrongBefore: string[] = [];

  constructor(seed: number) {
    const world = new World(seed);
    this.#world = world;
    this.#gathers = seed % GATHERING === 0;
    this.#isCalm = world.random.chance(0.4);
    this.#devices = new Devices(world);
    for (let n = 0; n < EDGES; n += 1) {
      world.edges.push(
        new SimEdge(`edge-${String(n)}`, world.clock, (edge, call) => this.#devices.takeCall(edge, call)),
      );
    }
    this.#leaders = new Leaders(world);
    this.#faults = new EdgeFaults(world, this.#devices);
    this.#applications = new Applications(world);
  }

  get log(): readonly string[] {
    return this.#world.log;
  }

  /** One random step, and a little time. */
  async step(): Promise<void> {
    const { random } = this.#world;
    const choice = random.next();
    if (choice < 0.2) this.#applications.apply(this.#leaders.present);
    else if (choice < 0.45) this.#connectDevice();
    else if (choice < 0.75) this.#devices.act(this.#world.anyEdge());
    else if (choice < 0.775) this.#hurtLeader(choice < 0.765);
    else if (choice < 0.795) this.#faults.cut(this.#world.anyEdge());
    else if (choice < 0.8) this.#faults.kill(this.#world.anyEdge());
    else if (choice < 0.805) this.#faults.pause(this.#world.anyEdge());
    else if (choice < 0.81) this.#faults.part(this.#world.anyEdge());
    else if (choice < 0.815) this.#leaders.databaseAway();
    await this.#pass(random.below(this.#isCalm ? 12 : 3) * TICK_MS);
  }

  /** All faults end; what is under way comes to rest. @returns what is wrong then */
  async settle(): Promise<string[]> {
    this.#world.isHealing = true;
    this.#leaders.heal();
    for (const edge of this.#world.edges) {
      edge.isPaused = false;
      edge.isParted = false;
    }
    await this.#rest(1_000);
    const wrong = this.#findings();
    if (!this.#gathers) return wrong;
    // By now few devices are left that hear each other.
    this.#gather();
    await this.#rest(800);
    wrong.push(...this.#findings());
    this.#leaders.kill();
    if (this.#world.random.chance(0.5)) this.#faults.kill(this.#world.anyEdge());
    await this.#rest(800);
    return [...wrong, ...this.#findings()];
  }

  #findings(): string[] {
    const atRest = new AtRest({
      edges: this.#world.edges,
      database: this.#world.database,
      leader: this.#leaders.present,
      leaders: this.#leaders.all,
      allDevices: this.#devices.all,
      intended: this.#applications.intended,
      digits: this.#devices.digits,
      buried: this.#devices.buried,
    });
    return [...this.#wrongBefore.splice(0), ...atRest.findings()];
  }

  async #rest(passes: number): Promise<void> {
    // One that is gone for good is given up, and forgotten after a while.
    const all = this.#world.edges.some(({ isGone }) => isGone) ? FORGOTTEN_PASSES : passes;
    for (let n = 0; n < all; n += 1) await this.#pass(TICK_MS);
  }

  /** Two members of one session at each edge. */
  #gather(): void {
    const { edges } = this.#world;
    const members = this.#applications.gather(this.#leaders.present, 2 * EDGES);
    for (const [n, id] of members.entries()) this.#devices.connectAt(edges[n % EDGES]!, id);
  }

  async #pass(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += TICK_MS) {
      this.#world.clock.advance(passed === 0 ? 0 : TICK_MS);
      this.#world.network.run();
      this.#leaders.renew();
      this.#reconnect();
      this.#leaders.commit();
      this.#giveUp();
      this.#checkActing();
      // What was asked is answered.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #hurtLeader(isDeadly: boolean): void {
    if (this.#isCalm && this.#world.random.chance(0.9)) return;
    if (isDeadly) this.#leaders.kill();
    else this.#leaders.pause();
  }

  #connectDevice(): void {
    const edge = this.#world.anyEdge();
    const participantId = this.#world.random.of([...this.#applications.intended.keys()]);
    if (participantId !== undefined && !edge.isPaused && !edge.isDown)
      this.#devices.connectAt(edge, participantId);
  }

  #reconnect(): void {
    const { edges, random, network, clock, isHealing } = this.#world;
    for (const edge of edges) {
      if (edge.isPaused || edge.isDown || edge.isParted) continue;
      if (edge.edge.isConnected || edge.link?.isOpen === true) continue;
      if (!isHealing && !random.chance(0.2)) continue;
      const target = this.#leaders.named;
      if (!target.isDead) edge.link = new SimLink(edge, target, network, clock);
    }
  }

  /** What an edge has not handed on when it is given up is lost. */
  #giveUp(): void {
    for (const { id, isLost } of this.#leaders.present.desk.edges()) {
      if (!isLost) continue;
      const { ofProcess } = this.#world.edges.find((edge) => edge.id === id)!;
      for (const device of ofProcess) this.#devices.buried.add(device);
    }
  }

  /** No two edges may send requests in a call, or sound to its phone. */
  #checkActing(): void {
    const { now, edges } = this.#world;
    const acting = new Map<string, string>();
    for (const edge of edges) {
      const sends = !edge.areHostsDead && now < edge.sendsUntil;
      if (edge.isDown ? !sends : !edge.edge.lease.isHeld) continue;
      for (const { info, outcome } of edge.devices) {
        if (outcome !== 'live') continue;
        const other = acting.get(info.id);
        if (other !== undefined)
          this.#wrongBefore.push(`${other} and ${edge.id} act in ${info.id} at ${String(now)}`);
        acting.set(info.id, edge.id);
      }
    }
  }
}
