/** How long a connection must have been silent to give way to another. */
const IDLE_MS = 10_000;

export interface ConnectionTableLimits {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** A place in the table of connections. */
export interface Seat {
  readonly host: string;
  /** Whether a valid message came by it, or we opened it. */
  proven: boolean;
  /** When the last valid message came, or it was taken. */
  heardAt: number;
  /** Closes what sits there, to make room. */
  giveWay: () => void;
}

/**
 * Who may have a connection: so many in all, and a share of them for each address. When there is no room, one that
 * says nothing gives way, so that silent ones shut nobody out.
 */
export class ConnectionTable {
  readonly #limits: ConnectionTableLimits;
  readonly #gaveWay: () => void;
  /** The least recently heard first. */
  readonly #seats = new Set<Seat>();
  /** The oldest first. */
  readonly #unproven = new Set<Seat>();
  /** As {@link #seats}, for each address. */
  readonly #byHost = new Map<string, Set<Seat>>();

  /** @param gaveWay told of each that was closed for another */
  constructor(limits: ConnectionTableLimits, gaveWay: () => void) {
    this.#limits = limits;
    this.#gaveWay = gaveWay;
  }

  get size(): number {
    return this.#seats.size;
  }

  /** A seat for a connection with an address; undefined when there is no room and nobody gives way. */
  take(host: string, proven: boolean, giveWay: () => void): Seat | undefined {
    const now = performance.now();
    const own = this.#byHost.get(host);
    if (own && own.size >= this.#limits.maxPerAddress) {
      if (!this.#makeRoom(silentIn(own, now))) return undefined;
    } else if (this.#seats.size >= this.#limits.maxConnections) {
      const [oldest] = this.#unproven;
      if (!this.#makeRoom(oldest ?? this.#quietest(own?.size ?? 0, now))) return undefined;
    }
    const seat: Seat = { host, proven, heardAt: now, giveWay };
    this.#seats.add(seat);
    if (!proven) this.#unproven.add(seat);
    const seats = this.#byHost.get(host);
    if (seats) seats.add(seat);
    else this.#byHost.set(host, new Set([seat]));
    return seat;
  }

  /** A valid message came. */
  heard(seat: Seat): void {
    if (!this.#seats.delete(seat)) return;
    this.#seats.add(seat);
    const own = this.#byHost.get(seat.host);
    own?.delete(seat);
    own?.add(seat);
    this.#unproven.delete(seat);
    seat.proven = true;
    seat.heardAt = performance.now();
  }

  /** What sat there is closed. */
  leave(seat: Seat): void {
    if (!this.#seats.delete(seat)) return;
    this.#unproven.delete(seat);
    const own = this.#byHost.get(seat.host);
    own?.delete(seat);
    if (own?.size === 0) this.#byHost.delete(seat.host);
  }

  #makeRoom(seat: Seat | undefined): boolean {
    if (!seat) return false;
    this.leave(seat);
    this.#gaveWay();
    seat.giveWay();
    return true;
  }

  /**
   * The least recently heard of those whose address has more than the newcomer's: one that is idle, or one of an
   * address that has more than half its share, however busy it is.
   */
  #quietest(newcomers: number, now: number): Seat | undefined {
    for (const seat of this.#seats) {
      const others = this.#byHost.get(seat.host)?.size ?? 0;
      const mayGo = now - seat.heardAt >= IDLE_MS || others > this.#limits.maxPerAddress / 2;
      if (others > newcomers && mayGo) return seat;
    }
    return undefined;
  }
}

/** The oldest of an address that never said anything, else the one that is silent for longest, if it is idle. */
function silentIn(seats: ReadonlySet<Seat>, now: number): Seat | undefined {
  for (const seat of seats) if (!seat.proven) return seat;
  const [quietest] = seats;
  return quietest && now - quietest.heardAt >= IDLE_MS ? quietest : undefined;
}
