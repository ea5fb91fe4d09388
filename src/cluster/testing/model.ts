import { type Participant, PatchbayError, type PublishedStream } from '../../core/index.js';
import type { CallRecord } from '../messages.js';
import { AtRest, type Intended } from './at-rest.js';
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
  /** Devices of edge processes that died, or were given up. */
  readonly #buried = new Set<SimDevice>();
  #leader: SimLeader | undefined;
  readonly #leaders: SimLeader[] = [];
  /** Leaders of before that do not know yet that they are deposed. */
  readonly #deposed: SimLeader[] = [];
  #databaseAwayUntil = 0;
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
    else if (choice < 0.815) this.#databaseAway();
    await this.#pass(this.random.below(this.#isCalm ? 12 : 3) * TICK_MS);
  }

  /** All faults end; what is under way comes to rest. @returns what is wrong then */
  async settle(): Promise<string[]> {
    this.#isHealing = true;
    this.#databaseAwayUntil = 0;
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

  #findings(): string[] {
    const atRest = new AtRest({
      edges: this.#edges,
      database: this.#database,
      leader: this.#leader!,
      leaders: this.#leaders,
      allDevices: this.#allDevices,
      intended: this.#intended,
      digits: this.#digits,
      buried: this.#buried,
    });
    return [...this.#wrongBefore.splice(0), ...atRest.findings()];
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
      this.#giveUp();
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
    if (now < this.#databaseAwayUntil) return;
    if (
      !leader.isDead &&
      !leader.isPaused &&
      leader.leaseUntil - now < LEASE_MS - RENEW_MS &&
      now < leader.leaseUntil
    )
      leader.leaseUntil = now + LEASE_MS;
    if (leader.leaseUntil <= now) this.#takeOver();
    // A deposed leader finds out when it is awake, a moment later.
    for (const old of this.#deposed)
      if (!old.isPaused && !old.isDead && (this.#isHealing || this.random.chance(0.1))) this.#bury(old);
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
    if (this.#clock.monotonic() < this.#databaseAwayUntil) return;
    const leaders = [this.#leader!, ...this.#deposed];
    for (const leader of leaders) {
      if (leader.isDead || leader.isPaused || !leader.store.hasPending) continue;
      if (!this.#isHealing && !this.random.chance(0.3)) continue;
      if (!leader.store.commit()) this.#bury(leader);
    }
  }

  /** What an edge has not handed on when it is given up is lost. */
  #giveUp(): void {
    for (const { id, isLost } of this.#leader!.desk.edges())
      if (isLost)
        for (const device of this.#edges.find((edge) => edge.id === id)!.ofProcess) this.#buried.add(device);
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

  #databaseAway(): void {
    const ms = this.random.below(8_000);
    this.#note(`the database is away for ${String(ms)}`);
    this.#databaseAwayUntil = this.#clock.monotonic() + ms;
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
    const here = edge.devices.filter(({ isHere }) => isHere);
    // One that was elsewhere meanwhile may be here again.
    const isBack = (id: string): boolean => here.some(({ info }) => info.id === id);
    for (const { info } of edge.devices) if (!isBack(info.id)) edge.edge.crossings.removed(info.id);
    edge.devices = here;
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
