/** How long a connection must have been silent to give way to another. */
const IDLE_MS = 10_000;

export interface ConnectionTableLimits {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** A place in the table of connections. */
export interface ConnectionSlot {
  readonly host: string;
  /** Whether a valid message came by it, or we opened it. */
  proven: boolean;
  /** When the last valid message came, or it was taken. */
  heardAt: number;
  /** Closes what sits there, to make room. */
  evict: () => void;
}

/**
 * Who may have a connection: so many in all, and a share of them for each address. When there is no room, one that
 * says nothing gives way, so that silent ones shut nobody out.
 */
export class ConnectionTable {
  readonly #limits: ConnectionTableLimits;
  readonly #gaveWay: () => void;
  /** The least recently heard first. */
  readonly #slots = new Set<ConnectionSlot>();
  /** The oldest first. */
  readonly #unproven = new Set<ConnectionSlot>();
  /** As {@link #slots}, for each address. */
  readonly #byHost = new Map<string, Set<ConnectionSlot>>();

  /** @param gaveWay told of each that was closed for another */
  constructor(limits: ConnectionTableLimits, gaveWay: () => void) {
    this.#limits = limits;
    this.#gaveWay = gaveWay;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** A slot for a connection with an address; undefined when there is no room and nobody gives way. */
  take(host: string, proven: boolean, evict: () => void): ConnectionSlot | undefined {
    const now = performance.now();
    const own = this.#byHost.get(host);
    if (own && own.size >= this.#limits.maxPerAddress) {
      if (!this.#makeRoom(silentIn(own, now))) return undefined;
    } else if (this.#slots.size >= this.#limits.maxConnections) {
      const [oldest] = this.#unproven;
      if (!this.#makeRoom(oldest ?? this.#quietest(own?.size ?? 0, now))) return undefined;
    }
    const slot: ConnectionSlot = { host, proven, heardAt: now, evict };
    this.#slots.add(slot);
    if (!proven) this.#unproven.add(slot);
    const slots = this.#byHost.get(host);
    if (slots) slots.add(slot);
    else this.#byHost.set(host, new Set([slot]));
    return slot;
  }

  /** A valid message came. */
  heard(slot: ConnectionSlot): void {
    if (!this.#slots.delete(slot)) return;
    this.#slots.add(slot);
    const own = this.#byHost.get(slot.host);
    own?.delete(slot);
    own?.add(slot);
    this.#unproven.delete(slot);
    slot.proven = true;
    slot.heardAt = performance.now();
  }

  /** What sat there is closed. */
  leave(slot: ConnectionSlot): void {
    if (!this.#slots.delete(slot)) return;
    this.#unproven.delete(slot);
    const own = this.#byHost.get(slot.host);
    own?.delete(slot);
    if (own?.size === 0) this.#byHost.delete(slot.host);
  }

  #makeRoom(slot: ConnectionSlot | undefined): boolean {
    if (!slot) return false;
    this.leave(slot);
    this.#gaveWay();
    slot.evict();
    return true;
  }

  /**
   * The least recently heard of those whose address has more than the newcomer's: one that is idle, or one of an
   * address that has more than half its share, however busy it is.
   */
  #quietest(newcomers: number, now: number): ConnectionSlot | undefined {
    for (const slot of this.#slots) {
      const others = this.#byHost.get(slot.host)?.size ?? 0;
      const mayGo = now - slot.heardAt >= IDLE_MS || others > this.#limits.maxPerAddress / 2;
      if (others > newcomers && mayGo) return slot;
    }
    return undefined;
  }
}

/** The oldest of an address that never said anything, else the one that is silent for longest, if it is idle. */
function silentIn(slots: ReadonlySet<ConnectionSlot>, now: number): ConnectionSlot | undefined {
  for (const slot of slots) if (!slot.proven) return slot;
  const [quietest] = slots;
  return quietest && now - quietest.heardAt >= IDLE_MS ? quietest : undefined;
}
