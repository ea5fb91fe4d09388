import type { FakeClock } from '../../../shared/testing/index.js';
import type { FromEdge, FromLeader, LinkListener } from '../../messages.js';
import type { SimEdge, SimLeader } from './processes.js';
import type { Random } from './random.js';

interface Flight {
  readonly at: number;
  readonly order: number;
  readonly arrive: () => void;
}

/** Messages on their way. They keep their order on each link and in each direction. */
export class SimNetwork {
  readonly #clock: FakeClock;
  readonly #random: Random;
  #flights: Flight[] = [];
  #order = 0;

  constructor(clock: FakeClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  get isQuiet(): boolean {
    return this.#flights.length === 0;
  }

  /** Something happens after so many ms. */
  later(ms: number, arrive: () => void): void {
    this.#order += 1;
    this.#flights.push({ at: this.#clock.monotonic() + ms, order: this.#order, arrive });
  }

  delay(): number {
    return this.#random.chance(0.05) ? this.#random.below(3_000) : this.#random.below(40);
  }

  /** Lets all happen that is due. */
  run(): void {
    for (;;) {
      const now = this.#clock.monotonic();
      const due = this.#flights.filter(({ at }) => at <= now);
      if (due.length === 0) return;
      this.#flights = this.#flights.filter(({ at }) => at > now);
      due.sort((one, other) => one.at - other.at || one.order - other.order);
      for (const { arrive } of due) arrive();
    }
  }
}

/** A connection between an edge and a leader, as plain data. What is on its way when it breaks may be lost. */
export class SimLink {
  readonly leader: SimLeader;
  #isOpen = true;
  /** Cut: what is on its way is lost. */
  #isCut = false;
  readonly #network: SimNetwork;
  readonly #ends: {
    edge: LinkListener<FromLeader> | undefined;
    leader: LinkListener<FromEdge> | undefined;
  } = { edge: undefined, leader: undefined };
  readonly #lastAt = { edge: 0, leader: 0 };
  readonly #unread = { edge: [] as (() => void)[], leader: [] as (() => void)[] };
  readonly #clock: FakeClock;

  constructor(edge: SimEdge, leader: SimLeader, network: SimNetwork, clock: FakeClock) {
    this.leader = leader;
    this.#network = network;
    this.#clock = clock;
    this.#ends.leader = leader.desk.accept({
      send: (message) => this.#send('edge', edge, () => this.#ends.edge?.received(copy(message))),
      close: () => this.close(),
    });
    this.#ends.edge = edge.edge.connectTo({
      send: (message) => this.#send('leader', leader, () => this.#ends.leader?.received(copy(message))),
      close: () => this.close(),
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** One end closes it: what was sent before still arrives. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#tellClosed(this.#network.delay());
  }

  /** It breaks: what is on its way is lost, and each end learns of it by itself. */
  cut(): void {
    this.#isCut = true;
    this.#isOpen = false;
    this.#tellClosed(0);
  }

  #tellClosed(after: number): void {
    for (const end of ['edge', 'leader'] as const)
      this.#network.later(after + this.#network.delay(), () => {
        if (end === 'leader' && this.leader.isDead) return;
        const listener = this.#ends[end];
        this.#ends[end] = undefined;
        listener?.closed();
      });
  }

  #send(to: 'edge' | 'leader', process: { isPaused: boolean; isDead?: boolean }, arrive: () => void): void {
    if (!this.#isOpen) return;
    const at = Math.max(this.#lastAt[to], this.#clock.monotonic() + this.#network.delay());
    this.#lastAt[to] = at;
    this.#network.later(at - this.#clock.monotonic(), () => {
      this.#unread[to].push(arrive);
      this.#read(to, process);
    });
  }

  #read(at: 'edge' | 'leader', process: { isPaused: boolean; isDead?: boolean }): void {
    if (this.#isCut || process.isDead) return;
    // A paused process reads what waits for it once it goes on.
    if (process.isPaused) {
      this.#network.later(10, () => this.#read(at, process));
      return;
    }
    for (const arrive of this.#unread[at].splice(0)) arrive();
  }
}

/** Links carry plain data: what is not, would be lost. */
function copy<T>(message: T): T {
  return JSON.parse(JSON.stringify(message)) as T;
}
