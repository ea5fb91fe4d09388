import { flatCopy } from '../transaction/keys.js';
import { BoundedMap } from '../../shared/index.js';

/** Most new requests that may wait at once, from all sources. */
const MAX_WAITING = 100;
/** How long one may wait. Its 503 is sent well before the peer retransmits it (T1). */
const MAX_WAIT_MS = 250;
/**
 * A request that may have been in the socket's buffer for longer is refused: its caller has given up or soon will.
 */
const MAX_AGE_MS = 4000;
/** Most datagrams that libuv reads from a socket in one turn. After fewer, the socket is empty. */
const DATAGRAMS_PER_TURN = 32;
/** Longest turn of the event loop that we accept: the phones' mixes are due every 20 ms in between. */
const LONG_TURN_MS = 12;
const SHORT_TURN_MS = 8;
const MAX_PER_TURN = 8;
const HEARTBEAT_MS = 250;
/** How long we remember how many requests of a source were served. */
const SERVED_MS = 1000;
/** How many refused requests are remembered, so that a retransmission gets the same response. */
const MAX_REFUSED = 4096;

/** Why a new request is refused. */
export type Refused =
  /** Too many are waiting, or it has waited too long. */
  | 'crowded'
  /** It may be too old. */
  | 'stale'
  /** Its caller cancelled it before its turn. */
  | 'cancelled'
  /** `SipAdmission` refused it. */
  | 'notAdmitted';

/** A request that starts something new. */
export interface Arrival {
  /** The same for retransmissions. */
  readonly key: string;
  /** The address that it came from. */
  readonly source: string;
}

interface AdmissionQueueOptions<A extends Arrival> {
  /** Monotonic time in ms. */
  readonly now: () => number;
  /**
   * Asked when its turn comes.
   * @returns whether to serve it; otherwise it is refused
   */
  readonly admit: (arrival: A) => boolean;
  readonly serve: (arrival: A) => void;
  readonly refuse: (arrival: A, why: Refused) => void;
}

/**
 * Queue for new requests. It serves a few per turn of the event loop, so that media and requests within dialogs,
 * which do not wait, get their turns. A request that waits too long is refused while the peer still listens. Among
 * sources, the one with the fewest requests served in the current second comes first.
 */
export class AdmissionQueue<A extends Arrival> {
  readonly #options: AdmissionQueueOptions<A>;
  readonly #queues = new Map<string, { arrival: A; since: number }[]>();
  readonly #keys = new Set<string>();
  readonly #refused = new BoundedMap<string, true>(MAX_REFUSED);
  readonly #heartbeat: NodeJS.Timeout;
  #turn: NodeJS.Immediate | undefined;
  #turnBegan = 0;
  #perTurn = MAX_PER_TURN / 2;
  #served = 0;
  /** Requests served by source, since `#servedSince`. */
  #servedOf = new Map<string, number>();
  #servedSince: number;
  #received = 0;
  /** When the socket was last known to be empty, and the time of the last heartbeat. */
  #emptyAt: number;
  #beatAt: number;

  constructor(options: AdmissionQueueOptions<A>) {
    this.#options = options;
    this.#emptyAt = options.now();
    this.#beatAt = this.#emptyAt;
    this.#servedSince = this.#emptyAt;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
  }

  get size(): number {
    return this.#keys.size;
  }

  /** A message of any kind was received. */
  received(): void {
    this.#received += 1;
    this.#await();
  }

  /** Serves a request now, queues it, or refuses it. */
  enter(arrival: A): void {
    const { key } = arrival;
    if (this.#keys.has(key)) return;
    const now = this.#options.now();
    if (this.#refused.get(key)) this.#refuse(arrival, 'crowded');
    else if (now - this.#emptyAt > MAX_AGE_MS) this.#refuse(arrival, 'stale');
    else if (this.#keys.size === 0 && this.#served < this.#perTurn) this.#serve(arrival);
    else this.#queue(arrival, now);
  }

  /** The caller cancelled the request. */
  withdraw(key: string): void {
    if (!this.#keys.delete(key)) return;
    for (const queue of this.#queues.values()) {
      const at = queue.findIndex(({ arrival }) => arrival.key === key);
      if (at >= 0) this.#refuse(queue.splice(at, 1)[0]!.arrival, 'cancelled');
    }
  }

  close(): void {
    clearInterval(this.#heartbeat);
    clearImmediate(this.#turn);
    this.#turn = undefined;
    this.#queues.clear();
    this.#keys.clear();
  }

  #queue(arrival: A, now: number): void {
    const { source, key } = arrival;
    const queue = this.#queues.get(source);
    if (this.#keys.size >= MAX_WAITING && !this.#makeRoom(queue?.length ?? 0)) {
      this.#refuse(arrival, 'crowded');
      return;
    }
    this.#keys.add(key);
    if (queue) queue.push({ arrival, since: now });
    else this.#queues.set(source, [{ arrival, since: now }]);
    this.#await();
  }

  /**
   * Makes room: refuses the newest request of the source with the longest queue, if that is longer than the
   * newcomer's.
   */
  #makeRoom(own: number): boolean {
    let longest: { arrival: A }[] | undefined;
    for (const queue of this.#queues.values()) {
      if (queue.length > (longest?.length ?? own + 1)) longest = queue;
    }
    const last = longest?.pop();
    if (!last) return false;
    this.#keys.delete(last.arrival.key);
    this.#refuse(last.arrival, 'crowded');
    return true;
  }

  #await(): void {
    if (this.#turn) return;
    this.#turnBegan = this.#options.now();
    this.#turn = setImmediate(() => this.#turnEnds());
  }

  #turnEnds(): void {
    this.#turn = undefined;
    const now = this.#options.now();
    const drained = this.#received < DATAGRAMS_PER_TURN;
    if (drained) this.#emptyAt = now;
    this.#adapt(now - this.#turnBegan, drained);
    this.#received = 0;
    this.#served = 0;
    this.#dismiss(now);
    while (this.#served < this.#perTurn && this.#keys.size > 0) this.#serveNext();
    // The end of the next turn shows how long this turn took, including the work that serving caused.
    if (this.#served > 0 || this.#keys.size > 0) this.#await();
  }

  #adapt(lengthMs: number, drained: boolean): void {
    if (lengthMs > LONG_TURN_MS || !drained) this.#perTurn = Math.max(1, this.#perTurn - 1);
    else if (lengthMs < SHORT_TURN_MS) this.#perTurn = Math.min(MAX_PER_TURN, this.#perTurn + 1);
  }

  /** Refuses requests that have waited too long. */
  #dismiss(now: number): void {
    for (const [source, queue] of this.#queues) {
      while (queue.length > 0 && now - queue[0]!.since > MAX_WAIT_MS) {
        const { arrival } = queue.shift()!;
        this.#keys.delete(arrival.key);
        this.#refuse(arrival, 'crowded');
      }
      if (queue.length === 0) this.#queues.delete(source);
    }
  }

  #serveNext(): void {
    const [source, queue] = this.#leastServed();
    // Delete and set again, so that the source moves behind the others.
    this.#queues.delete(source);
    const next = queue.shift();
    if (queue.length > 0) this.#queues.set(source, queue);
    if (!next) return;
    this.#keys.delete(next.arrival.key);
    this.#serve(next.arrival);
  }

  /** The source with the fewest requests served; among equals, the one served longest ago. */
  #leastServed(): [string, { arrival: A; since: number }[]] {
    let least: [string, { arrival: A; since: number }[]] | undefined;
    let turns = Number.POSITIVE_INFINITY;
    for (const entry of this.#queues) {
      const had = this.#servedOf.get(entry[0]) ?? 0;
      if (had >= turns) continue;
      least = entry;
      turns = had;
    }
    return least!;
  }

  #serve(arrival: A): void {
    if (this.#options.admit(arrival)) {
      this.#served += 1;
      this.#countServed(arrival.source);
      this.#options.serve(arrival);
    } else this.#refuse(arrival, 'notAdmitted');
  }

  #countServed(source: string): void {
    const now = this.#options.now();
    if (now - this.#servedSince > SERVED_MS) {
      this.#servedOf = new Map();
      this.#servedSince = now;
    }
    this.#servedOf.set(source, (this.#servedOf.get(source) ?? 0) + 1);
  }

  #refuse(arrival: A, why: Refused): void {
    this.#refused.set(flatCopy(arrival.key), true);
    this.#options.refuse(arrival, why);
  }

  /**
   * Notes when the socket was empty while no messages come: between two heartbeats the loop has polled every socket.
   * Not while a turn is under way, which may have left messages in the socket.
   */
  #beat(): void {
    if (!this.#turn) this.#emptyAt = Math.max(this.#emptyAt, this.#beatAt);
    this.#beatAt = this.#options.now();
  }
}
