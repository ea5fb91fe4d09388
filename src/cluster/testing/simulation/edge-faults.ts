import type { Participant } from '../../../core/index.js';
import { type Devices, documentOf } from './devices.js';
import type { SimDevice, SimEdge } from './processes.js';
import type { World } from './world.js';

/** What befalls edges, and how those that died come back. */
export class EdgeFaults {
  readonly #world: World;
  readonly #devices: Devices;

  constructor(world: World, devices: Devices) {
    this.#world = world;
    this.#devices = devices;
  }

  /** Its link breaks; it connects again. */
  cut(edge: SimEdge): void {
    this.#world.note(`${edge.id} is cut off`);
    edge.link?.cut();
  }

  pause(edge: SimEdge): void {
    if (edge.isPaused) return;
    edge.isPaused = true;
    this.#world.network.later(this.#world.random.below(5_000), () => (edge.isPaused = false));
  }

  /** It is cut off for so long that it may be given up. */
  part(edge: SimEdge): void {
    this.#world.note(`${edge.id} is parted`);
    edge.isParted = true;
    edge.link?.cut();
    this.#world.network.later(this.#world.random.below(8_000), () => (edge.isParted = false));
  }

  kill(edge: SimEdge): void {
    if (edge.isDown) return;
    const { random, network, edges } = this.#world;
    edge.link?.cut();
    // One of them may be gone for good.
    edge.isGone = random.chance(0.15) && !edges.some(({ isGone }) => isGone);
    const isCarrying = !edge.isGone && random.chance(0.6);
    edge.areHostsDead = !isCarrying;
    const carried = isCarrying ? edge.devices.filter(({ outcome }) => outcome === 'live') : [];
    this.#world.note(
      `${edge.id} dies${edge.isGone ? ' for good' : ''}, ${String(carried.length)} are carried over`,
    );
    this.#buryAllBut(edge, carried);
    edge.isDown = true;
    if (edge.isGone) {
      edge.records.clear();
      edge.crossings = [];
      return;
    }
    // One that is away for longer than edges are remembered would come back as a stranger.
    const downMs = edge.isParted || random.chance(0.5) ? 0 : random.below(6_000);
    const isRestoring = random.chance(0.5);
    network.later(downMs, () => this.#start(edge, carried, isRestoring));
  }

  #buryAllBut(edge: SimEdge, carried: readonly SimDevice[]): void {
    for (const device of edge.ofProcess) {
      this.#devices.buried.add(device);
      if (device.isHere && !carried.includes(device)) device.outcome = 'lost';
      if (!carried.includes(device)) device.onOver = () => undefined;
    }
    edge.devices = [...carried];
    edge.ofProcess = [...carried];
  }

  /** Media hosts have kept some devices: the next process goes on with them. */
  #start(edge: SimEdge, carried: readonly SimDevice[], isRestoring: boolean): void {
    const { random, network } = this.#world;
    edge.isDown = false;
    edge.start(isRestoring);
    // It may connect before it knows where everything is.
    if (random.chance(0.5)) edge.locate();
    else {
      const { edge: process } = edge;
      network.later(random.below(500), () => {
        if (edge.edge === process) edge.locate();
      });
    }
    this.#restoreCalls(edge);
    if (isRestoring) void this.#restore(edge, carried);
    else for (const device of carried) void this.#devices.carryOn(edge, device);
  }

  /** As phones do: what the leader has is known only once it is asked for. */
  async #restore(edge: SimEdge, carried: readonly SimDevice[]): Promise<void> {
    const { process } = edge;
    for (const device of carried) {
      for (let known: { participant: Participant | undefined } | undefined; !known;) {
        known = await edge.edge.participantOf(device.participantId).then(
          (participant) => ({ participant }),
          () => undefined,
        );
        if (edge.process !== process || edge.isDown) return;
        if (!known) await new Promise<void>((resolve) => this.#world.network.later(50, resolve));
        else if (device.outcome !== 'live') break;
        else if (known.participant) void this.#devices.carryOn(edge, device);
        else {
          device.outcome = 'lost';
          device.onOver();
        }
      }
    }
    edge.devices = edge.devices.filter(({ isHere }) => isHere);
    edge.edge.restored();
  }

  /** A new process asks for what is written of the calls before, and keeps what it goes on with. */
  #restoreCalls(edge: SimEdge): void {
    const { process } = edge;
    const before = new Map(edge.records);
    edge.records.clear();
    void edge.edge.calls.calls().then((found) => {
      if (edge.process !== process || edge.isDown) return;
      const live = new Set(edge.devices.filter(({ isHere }) => isHere).map(({ info }) => info.id));
      for (const { id, document } of found) {
        // What the new process has written since is newer.
        if (edge.records.has(id)) continue;
        if (live.has(id)) edge.records.set(id, document);
        else edge.deleteCall(id);
      }
      // Of these the process before had told nothing, or nothing that was written down.
      for (const device of edge.devices) {
        const { id } = device.info;
        if (before.has(id) && live.has(id) && !edge.records.has(id))
          edge.saveCall(id, documentOf(device, 'restored'));
      }
    });
  }
}
