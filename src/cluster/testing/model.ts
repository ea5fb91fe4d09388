import { type Participant, PatchbayError, type PublishedStream } from '../../core/index.js';
import type { CallRecord } from '../messages.js';
import {
  ACCOUNT,
  FakeClock,
  Random,
  SimDatabase,
  SimDevice,
  SimEdge,
  SimLeader,
  SimLink,
  SimNetwork,
} from './simulator.js';

const EDGES = 3;
const LEASE_MS = 3_000;
const RENEW_MS = 1_000;
const TICK_MS = 20;
const MAX_PARTICIPANTS = 12;
/** Of a tick or two: a leader has died, the next one gives an edge up, and forgets it. */
const FORGOTTEN_PASSES = 1_300;
/** One seed in so many goes on, after its rest, with devices of all edges in one session: that takes a while. */
const GATHERING = 5;

/** What an application has done with a participant, in order: the state after each change, and the last acknowledged one. */
interface Intended {
  readonly states: string[];
  acknowledged: number;
}

/**
 * Leaders, edges and devices on a network that loses, delays and parts, with processes that die and pause; driven by
 * pseudo-random steps, all of them repeated by the same seed.
 */
export class Model {
  readonly random: Random;
  readonly #gathers: boolean;
  readonly #clock = new FakeClock(1_000_000);
  readonly #database = new SimDatabase();
  readonly #network: SimNetwork;
  readonly #edges: SimEdge[];
  /** In some runs leaders live for long, and time passes faster: then edges are given up. */
  readonly #isCalm: boolean;
  readonly #allDevices: SimDevice[] = [];
  readonly #intended = new Map<string, Intended>();
  readonly #sessions: string[] = [];
  /** Digits that must be counted: by devices that neither the core nor a death of their edge has ended. */
  readonly #digits = new Map<string, SimDevice>();
  /** Devices of edge processes that died. */
  readonly #buried = new Set<SimDevice>();
  #leader: SimLeader | undefined;
  readonly #leaders: SimLeader[] = [];
  /** Leaders of before that do not know yet that they are deposed. */
  readonly #deposed: SimLeader[] = [];
  #leaderGoneAt = 0;
  #ids = 0;
  readonly log: string[] = [];
  /** What was wrong before all came to rest. */
  readonly #wrongBefore: string[] = [];
  #isHealing = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#gathers = seed % GATHERING === 0;
    this.#isCalm = this.random.chance(0.4);
    this.#network = new SimNetwork(this.#clock, this.random);
    this.#edges = Array.from(
      { length: EDGES },
      (_, n) => new SimEdge(`edge-${String(n)}`, this.#clock, (edge, call) => this.#takeCall(edge, call)),
    );
    this.#takeOver();
  }

  /** One random step, and a little time. */
  async step(): Promise<void> {
    const choice = this.random.next();
    if (choice < 0.2) this.#apply();
    else if (choice < 0.45) this.#connectDevice();
    else if (choice < 0.75) this.#actAtDevice();
    else if (choice < 0.775) this.#hurtLeader(choice < 0.765);
    else if (choice < 0.795) this.#cutLink();
    else if (choice < 0.8) this.#killEdge();
    else if (choice < 0.805) this.#pauseEdge();
    else if (choice < 0.81) this.#partEdge();
    await this.#pass(this.random.below(this.#isCalm ? 12 : 3) * TICK_MS);
  }

  /** All faults end; what is under way comes to rest. @returns what is wrong then */
  async settle(): Promise<string[]> {
    this.#isHealing = true;
    for (const process of [...this.#edges, ...this.#deposed, this.#leader])
      if (process) process.isPaused = false;
    for (const edge of this.#edges) edge.isParted = false;
    await this.#rest(1_000);
    const wrong = this.#findings();
    if (!this.#gathers) return wrong;
    // By now few devices are left that hear each other.
    this.#gather();
    await this.#rest(800);
    wrong.push(...this.#findings());
    this.#killLeader();
    if (this.random.chance(0.5)) this.#killEdge();
    await this.#rest(800);
    return [...wrong, ...this.#findings()];
  }

  async #rest(passes: number): Promise<void> {
    // One that is gone for good is given up, and forgotten after a while.
    const all = this.#edges.some(({ isGone }) => isGone) ? FORGOTTEN_PASSES : passes;
    for (let n = 0; n < all; n += 1) await this.#pass(TICK_MS);
  }

  /** Two members of one session at each edge. */
  #gather(): void {
    const leader = this.#leader!;
    const { core } = leader;
    const sessionId = core.createSession(ACCOUNT, {}).id;
    for (const edge of [...this.#edges, ...this.#edges]) {
      const { id } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] }).participant;
      core.addToSession(ACCOUNT, sessionId, id, { sessionId });
      this.#intend(leader, id, sessionId);
      this.#connectAt(edge, id);
    }
  }

  async #pass(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += TICK_MS) {
      this.#clock.advance(passed === 0 ? 0 : TICK_MS);
      this.#network.run();
      this.#renew();
      this.#reconnect();
      this.#commit();
      this.#checkActing();
      // What was asked is answered.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #note(what: string): void {
    this.log.push(`${String(this.#clock.monotonic())} ${what}`);
  }

  // The lease.

  #takeOver(): void {
    const before = this.#leader;
    if (before && !before.isDead) this.#deposed.push(before);
    this.#leader = new SimLeader(this.#database, this.#clock, LEASE_MS, (edgeId) =>
      this.#edges.some(({ id, isDown, areHostsDead }) => id === edgeId && isDown && areHostsDead),
    );
    this.#leaders.push(this.#leader);
    this.#note(`leader ${String(this.#leader.epoch)}`);
  }

  #renew(): void {
    const leader = this.#leader!;
    const now = this.#clock.monotonic();
    if (
      !leader.isDead &&
      !leader.isPaused &&
      leader.leaseUntil - now < LEASE_MS - RENEW_MS &&
      now < leader.leaseUntil
    )
      leader.leaseUntil = now + LEASE_MS;
    if (leader.leaseUntil <= now) this.#takeOver();
    // A deposed leader finds out when it is awake: its lease is over.
    for (const old of this.#deposed) if (!old.isPaused && !old.isDead) this.#bury(old);
  }

  #bury(leader: SimLeader): void {
    leader.isDead = true;
    for (const edge of this.#edges) if (edge.link?.leader === leader) edge.link.cut();
    const at = this.#deposed.indexOf(leader);
    if (at >= 0) this.#deposed.splice(at, 1);
  }

  #hurtLeader(isDeadly: boolean): void {
    if (this.#isCalm && this.random.chance(0.9)) return;
    if (isDeadly) this.#killLeader();
    else this.#pauseLeader();
  }

  #killLeader(): void {
    const leader = this.#leader!;
    if (leader.isDead) return;
    this.#note(`leader ${String(leader.epoch)} dies`);
    this.#bury(leader);
  }

  #pauseLeader(): void {
    const leader = this.#leader!;
    if (leader.isDead || leader.isPaused) return;
    const ms = this.random.below(6_000);
    this.#note(`leader ${String(leader.epoch)} pauses for ${String(ms)}`);
    leader.isPaused = true;
    this.#network.later(ms, () => (leader.isPaused = false));
  }

  #commit(): void {
    const leaders = [this.#leader!, ...this.#deposed];
    for (const leader of leaders) {
      if (leader.isDead || leader.isPaused || !leader.store.hasPending) continue;
      if (!this.#isHealing && !this.random.chance(0.3)) continue;
      if (!leader.store.commit()) this.#bury(leader);
    }
  }

  // The network.

  #reconnect(): void {
    for (const edge of this.#edges) {
      if (edge.isPaused || edge.isDown || edge.isParted) continue;
      if (edge.edge.isConnected || edge.link?.isOpen === true) continue;
      if (!this.#isHealing && !this.random.chance(0.2)) continue;
      // The row of the lease may be read before another takes over.
      const target = this.random.chance(0.1) ? (this.#deposed.at(-1) ?? this.#leader!) : this.#leader!;
      if (target.isDead) continue;
      edge.link = new SimLink(edge, target, this.#network, this.#clock);
    }
  }

  #cutLink(): void {
    const edge = this.random.of(this.#edges)!;
    this.#note(`${edge.id} is cut off`);
    edge.link?.cut();
  }

  #pauseEdge(): void {
    const edge = this.random.of(this.#edges)!;
    if (edge.isPaused) return;
    edge.isPaused = true;
    this.#network.later(this.random.below(5_000), () => (edge.isPaused = false));
  }

  /** It is cut off for so long that it may be given up. */
  #partEdge(): void {
    const edge = this.random.of(this.#edges)!;
    this.#note(`${edge.id} is parted`);
    edge.isParted = true;
    edge.link?.cut();
    this.#network.later(this.random.below(8_000), () => (edge.isParted = false));
  }

  #killEdge(): void {
    const edge = this.random.of(this.#edges)!;
    if (edge.isDown) return;
    edge.link?.cut();
    // One of them may be gone for good.
    edge.isGone = this.random.chance(0.15) && !this.#edges.some(({ isGone }) => isGone);
    const isCarrying = !edge.isGone && this.random.chance(0.6);
    edge.areHostsDead = !isCarrying;
    const carried = isCarrying ? edge.devices.filter(({ outcome }) => outcome === 'live') : [];
    this.#note(
      `${edge.id} dies${edge.isGone ? ' for good' : ''}, ${String(carried.length)} are carried over`,
    );
    for (const device of edge.ofProcess) {
      this.#buried.add(device);
      if (device.isHere && !carried.includes(device)) device.outcome = 'lost';
      if (!carried.includes(device)) device.onOver = () => undefined;
    }
    edge.devices = [...carried];
    edge.ofProcess = [...carried];
    edge.isDown = true;
    if (edge.isGone) {
      edge.records.clear();
      edge.crossings = [];
      return;
    }
    // One that is away for longer than edges are remembered would come back as a stranger.
    const downMs = edge.isParted || this.random.chance(0.5) ? 0 : this.random.below(6_000);
    const isRestoring = this.random.chance(0.5);
    this.#network.later(downMs, () => {
      edge.isDown = false;
      edge.start(isRestoring);
      // It may connect before it knows where everything is.
      if (this.random.chance(0.5)) edge.locate();
      else {
        const { edge: process } = edge;
        this.#network.later(this.random.below(500), () => {
          if (edge.edge === process) edge.locate();
        });
      }
      this.#restoreCalls(edge);
      // Media hosts have kept these devices: the next process goes on with them.
      if (isRestoring) void this.#restore(edge, [...carried]);
      else for (const device of carried) void this.#carryOn(edge, device);
    });
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
        if (!known) await new Promise<void>((resolve) => this.#network.later(50, resolve));
        else if (device.outcome !== 'live') break;
        else if (known.participant) void this.#carryOn(edge, device);
        else {
          device.outcome = 'lost';
          device.onOver();
        }
      }
    }
    edge.devices = edge.devices.filter(({ isHere }) => isHere);
    edge.edge.restored();
  }

  /** @returns what rejects when it is refused */
  #carryOn(edge: SimEdge, device: SimDevice): Promise<void> {
    const participant = { id: device.participantId, accountId: ACCOUNT } as Participant;
    const options = { replace: false, carriedSince: device.connectedAt, held: device.held };
    const connection = edge.edge.connect(participant, device, options);
    this.#connected(edge, device, connection);
    connection.publish(device.streams);
    return connection.admitted;
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

  /** The call of an edge that is gone goes on at this one, as it was when it was written down last. */
  async #takeCall(edge: SimEdge, { id, document }: CallRecord): Promise<boolean> {
    const { participantId, held, streams, connectedAt } = JSON.parse(document) as CallDocument;
    const device = new SimDevice(id, participantId);
    Object.assign(device, { held, streams, connectedAt });
    device.onOver = () => edge.forget(device);
    this.#note(`${id} of ${participantId} is taken over by ${edge.id}`);
    this.#allDevices.push(device);
    edge.devices.push(device);
    edge.ofProcess.push(device);
    edge.records.set(id, document);
    edge.place(device);
    return this.#carryOn(edge, device).then(
      () => true,
      () => false,
    );
  }

  /** No two edges may send requests in a call, or sound to its phone. */
  #checkActing(): void {
    const acting = new Map<string, string>();
    for (const edge of this.#edges) {
      const sends = !edge.areHostsDead && this.#clock.monotonic() < edge.sendsUntil;
      if (edge.isDown ? !sends : !edge.edge.lease.isHeld) continue;
      for (const { info, outcome } of edge.devices) {
        if (outcome !== 'live') continue;
        const other = acting.get(info.id);
        if (other !== undefined)
          this.#wrongBefore.push(
            `${other} and ${edge.id} act in ${info.id} at ${String(this.#clock.monotonic())}`,
          );
        acting.set(info.id, edge.id);
      }
    }
  }

  // Devices.

  #connectDevice(): void {
    const edge = this.random.of(this.#edges)!;
    const participantId = this.random.of([...this.#intended.keys()]);
    if (participantId !== undefined && !edge.isPaused && !edge.isDown) this.#connectAt(edge, participantId);
  }

  #connectAt(edge: SimEdge, participantId: string): void {
    const replace = this.random.chance(0.7);
    edge.edge.participantOf(participantId).then(
      (participant) => {
        if (!participant || edge.isPaused || edge.isDown) return;
        this.#ids += 1;
        const device = new SimDevice(`device-${String(this.#ids)}`, participantId);
        device.connectedAt = this.#clock.now();
        device.onOver = () => edge.forget(device);
        this.#allDevices.push(device);
        edge.devices.push(device);
        edge.ofProcess.push(device);
        this.#note(`${device.info.id} of ${participantId} connects at ${edge.id}`);
        this.#connected(edge, device, edge.edge.connect(participant, device, { replace }));
        this.#publish(edge, device);
      },
      () => undefined,
    );
  }

  #connected(edge: SimEdge, device: SimDevice, connection: ReturnType<SimEdge['edge']['connect']>): void {
    device.connection = connection;
    if (device.isHere) device.outcome = 'asked';
    connection.admitted.then(
      () => {
        if (device.outcome !== 'asked') return;
        device.outcome = 'live';
        if (!edge.records.has(device.info.id)) edge.saveCall(device.info.id, documentOf(device, 'admitted'));
      },
      (error: unknown) => {
        if (!(error instanceof PatchbayError)) throw error;
        if (device.outcome === 'asked') device.outcome = 'refused';
        device.onOver();
        edge.devices = edge.devices.filter((other) => other !== device);
      },
    );
  }

  #publish(edge: SimEdge, device: SimDevice): void {
    this.#ids += 1;
    device.streams = this.random.chance(0.8)
      ? [{ streamId: `stream-${String(this.#ids)}`, mediaTypes: ['audio'] }]
      : [];
    edge.place(device);
    device.connection.publish(device.streams);
  }

  #actAtDevice(): void {
    const edge = this.random.of(this.#edges)!;
    const device =
      edge.isPaused || edge.isDown
        ? undefined
        : this.random.of(edge.devices.filter(({ outcome }) => outcome === 'live'));
    if (!device) return;
    const choice = this.random.next();
    if (choice < 0.2) this.#publish(edge, device);
    else if (choice < 0.6) {
      this.#ids += 1;
      this.#digits.set(`dtmf ${device.info.id} ${String(this.#ids)}`, device);
      device.connection.dtmf('5', this.#ids);
    } else if (choice < 0.8) {
      device.held = !device.held;
      device.connection.hold(device.held);
    } else {
      this.#note(`${device.info.id} leaves`);
      device.outcome = 'left';
      device.connection.end('left');
      device.onOver();
    }
    if (device.isHere && this.random.chance(0.5)) {
      this.#ids += 1;
      edge.saveCall(device.info.id, documentOf(device, `change ${String(this.#ids)}`));
    }
    for (const { isHere, info } of edge.devices) if (!isHere) edge.edge.crossings.removed(info.id);
    edge.devices = edge.devices.filter(({ isHere }) => isHere);
  }

  // Applications.

  #apply(): void {
    const leader = this.#leader!;
    // Any gateway may be asked; it passes the request on, to a leader that answers only as long as it is one.
    if (leader.isDead || leader.isPaused) return;
    try {
      this.#change(leader);
    } catch (error) {
      // It has not been read yet, or was deleted: an application gets such answers too.
      if (!(error instanceof PatchbayError)) throw error;
    }
  }

  #change(leader: SimLeader): void {
    const { core } = leader;
    if (this.#sessions.length < 3) this.#sessions.push(core.createSession(ACCOUNT, {}).id);
    const present = [...this.#intended]
      .filter(([, { states }]) => states.at(-1) !== 'deleted')
      .map(([id]) => id);
    const choice = this.random.next();
    const id = this.random.of(present);
    if (id === undefined || (choice < 0.2 && present.length < MAX_PARTICIPANTS)) {
      const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
      this.#intend(leader, participant.id, 'outside');
    } else if (choice < 0.5) {
      const sessionId = this.random.of(this.#sessions)!;
      // It may have died with a leader that had not written it.
      core.session(ACCOUNT, sessionId);
      const before = core.participant(ACCOUNT, id).sessionId;
      if (before !== undefined) core.removeFromSession(ACCOUNT, before, id);
      core.addToSession(ACCOUNT, sessionId, id, this.random.chance(0.8) ? { sessionId } : {});
      this.#intend(leader, id, sessionId);
    } else if (choice < 0.6) {
      const before = core.participant(ACCOUNT, id).sessionId;
      if (before === undefined) return;
      core.removeFromSession(ACCOUNT, before, id);
      this.#intend(leader, id, 'outside');
    } else if (choice < 0.7) {
      core.deleteParticipant(ACCOUNT, id);
      this.#intend(leader, id, 'deleted');
    } else if (choice < 0.85) core.disconnectDevice(ACCOUNT, id);
  }

  /** The application is answered once the change is on disk. */
  #intend(leader: SimLeader, id: string, state: string): void {
    const intended = this.#intended.get(id) ?? { states: [], acknowledged: -1 };
    this.#intended.set(id, intended);
    intended.states.push(state);
    const index = intended.states.length - 1;
    this.#note(`${id} is to be ${state}`);
    leader.core.flush().then(
      () => (intended.acknowledged = Math.max(intended.acknowledged, index)),
      () => undefined,
    );
  }

  /**
   * What an edge process had not handed on when it died is lost. Of a device that a leader has ended, as of one whose
   * participant was deleted, nothing more is told.
   */
  #isCounted(device: SimDevice): boolean {
    if (
      this.#buried.has(device) ||
      this.#isMoved(device) ||
      this.#leaders.some(({ ended }) => ended.has(device.info.id))
    )
      return false;
    if (this.#leader!.core.participantOf(device.participantId) === undefined) return false;
    return this.#told(`connected ${device.info.id}`) > 0 || !this.#hasSuccessor(device);
  }

  /** Whether another edge has had it after this one. */
  #isMoved(device: SimDevice): boolean {
    return this.#allDevices.findLast(({ info }) => info.id === device.info.id) !== device;
  }

  /** Whether a later device has had its place: of one that no leader had written down by then, nothing is told. */
  #hasSuccessor(device: SimDevice): boolean {
    const later = this.#allDevices.slice(this.#allDevices.indexOf(device) + 1);
    return later.some(
      ({ participantId, info }) =>
        participantId === device.participantId && this.#told(`connected ${info.id}`) > 0,
    );
  }

  #told(key: string): number {
    return (this.#database.rows.told.get(key) as number | undefined) ?? 0;
  }

  // What must hold at rest.

  #findings(): string[] {
    const { core, desk } = this.#leader!;
    const wrong = this.#wrongBefore.splice(0);
    const live = this.#edges.flatMap(({ devices }) => devices.filter(({ isHere }) => isHere));
    const ids = [...this.#intended.keys()];
    const connected = ids.flatMap((id) => core.connectedDevice(id)?.id ?? []).sort();
    const here = live.map(({ info }) => info.id).sort();
    if (connected.join() !== here.join())
      wrong.push(`core has ${connected.join()}; edges have ${here.join()}`);
    for (const device of live) {
      const { participantId, info, outcome } = device;
      if (outcome !== 'live') wrong.push(`${info.id} is ${outcome} for ever`);
      if (core.connectedDevice(participantId)?.id !== info.id) continue;
      const wanted = core.device(ACCOUNT, participantId)!;
      const streams = (list: readonly { readonly streamId: string }[]): string =>
        list.map(({ streamId }) => streamId).join();
      if (streams(wanted.delivery) !== streams(device.delivery))
        wrong.push(`${info.id} receives ${streams(device.delivery)}, not ${streams(wanted.delivery)}`);
      if (streams(wanted.streams) !== streams(device.streams))
        wrong.push(
          `${info.id} publishes ${streams(device.streams)}, the core has ${streams(wanted.streams)}`,
        );
      if (wanted.held !== device.held)
        wrong.push(`${info.id} holds: ${String(device.held)}, not in the core`);
    }
    wrong.push(...this.#wrongCrossings());
    for (const [key, device] of this.#digits) {
      const mustCount = this.#isCounted(device) && (device.outcome === 'live' || device.outcome === 'left');
      const count = this.#told(key);
      if (count > 1 || (mustCount && count !== 1)) wrong.push(`${key} was told ${String(count)} times`);
    }
    for (const device of this.#allDevices) {
      const { info, outcome } = device;
      const came = this.#told(`connected ${info.id}`);
      // The device of an edge that is missing for too long is told to have crashed, by its leader or the next one.
      const went = this.#told(`left ${info.id}`) || Math.min(1, this.#told(`crashed ${info.id}`));
      if (came > 1 || went > 1)
        wrong.push(`${info.id} came ${String(came)} times, left ${String(went)} times`);
      if (outcome === 'left' && this.#isCounted(device) && went !== 1)
        wrong.push(`${info.id} left by itself, and that was told ${String(went)} times`);
      if (outcome === 'live' && (went > 0 || (!this.#buried.has(device) && came !== 1)))
        wrong.push(`${info.id} is here, came ${String(came)} times, and left ${String(went)} times`);
    }
    const open = this.#database.openRecords().map(({ connectionId }) => connectionId);
    if (open.sort().join() !== here.join())
      wrong.push(`open records: ${open.join()}; devices: ${here.join()}`);
    for (const [id, { states, acknowledged }] of this.#intended) {
      const participant = core.participantOf(id);
      const state = participant ? (participant.sessionId ?? 'outside') : 'deleted';
      if (acknowledged >= 0 && !states.slice(acknowledged).includes(state))
        wrong.push(`${id} is ${state}, but was to be ${states.slice(acknowledged).join(' or ')}`);
    }
    for (const { id, edge } of this.#edges.filter(({ isGone }) => !isGone)) {
      if (edge.history.waiting > 0) wrong.push(`${id} keeps ${String(edge.history.waiting)} events for ever`);
      if (edge.calls.counts.waiting > 0) wrong.push(`${id} keeps records of calls for ever`);
      if (!edge.isSettled) wrong.push(`${id} does not know that all is delivered`);
    }
    for (const { id, closing, isLost } of desk.edges())
      if (closing > 0 || isLost) wrong.push(`${String(closing)} closings wait for ${id} for ever`);
    return [...wrong, ...this.#edgeFindings()];
  }

  /** What the leader and the database have of edges and their calls. */
  #edgeFindings(): string[] {
    const wrong: string[] = [];
    for (const { id, records, isGone } of this.#edges) {
      const told = [...records].sort(([one], [other]) => (one < other ? -1 : 1));
      const wanted = JSON.stringify(told.map(([call, document]) => ({ id: call, document })));
      for (const calls of [this.#leader!.store.recordsOf(id), this.#database.callsOf(id)])
        if (JSON.stringify(calls) !== wanted)
          wrong.push(`${id} has the calls ${wanted}; the leader has ${JSON.stringify(calls)}`);
      if (isGone && this.#database.rows.edge.has(id)) wrong.push(`${id} is gone, and not forgotten`);
    }
    return wrong;
  }

  /** Every device receives the streams of its delivery, and no host gets others. */
  #wrongCrossings(): string[] {
    const placed = this.#edges.flatMap((edge) =>
      edge.devices
        .filter(({ isHere }) => isHere)
        .map((device) => ({ edge, device, host: edge.hostOf(device) })),
    );
    const wanted = new Set<string>();
    for (const to of placed)
      for (const { streamId } of to.device.delivery)
        for (const from of placed)
          if (from.edge !== to.edge && from.device.streams.some((stream) => stream.streamId === streamId)) {
            wanted.add(`${from.host} sends ${to.edge.id} ${to.host} ${streamId}`);
            wanted.add(`${to.host} receives from ${from.edge.id} ${from.host}`);
          }
    const told = this.#edges.flatMap(({ crossings }) =>
      crossings.flatMap(({ host, otherEdge, otherHost, sent, from }) => [
        ...sent.map((streamId) => `${host} sends ${otherEdge} ${otherHost} ${streamId}`),
        ...(from ? [`${host} receives from ${otherEdge} ${otherHost}`] : []),
      ]),
    );
    return [
      ...[...wanted].filter((crossing) => !told.includes(crossing)).map((crossing) => `missing: ${crossing}`),
      ...told.filter((crossing) => !wanted.has(crossing)).map((crossing) => `too much: ${crossing}`),
    ];
  }
}

/** What the record of a call tells of its device. */
interface CallDocument {
  readonly text: string;
  readonly participantId: string;
  readonly held: boolean;
  readonly streams: readonly PublishedStream[];
  readonly connectedAt: number;
}

function documentOf({ participantId, held, streams, connectedAt }: SimDevice, text: string): string {
  return JSON.stringify({ text, participantId, held, streams, connectedAt } satisfies CallDocument);
}
