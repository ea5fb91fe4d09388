/** How long a connection must have been idle before it may be closed to make room. */
const IDLE_MS = 10_000;

export interface ConnectionTableLimits {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** An entry in the table of connections. */
export interface ConnectionSlot {
  readonly host: string;
  /** Whether a valid message came on it, or we opened it. */
  proven: boolean;
  /** When the last valid message came, or else when it was opened. */
  heardAt: number;
  /** Closes the connection to make room. */
  evict: () => void;
}

/**
 * Limits connections in total and per address. When full, an idle connection is closed for the new one, so that
 * silent connections cannot lock others out.
 */
export class ConnectionTable {
  readonly #limits: ConnectionTableLimits;
  readonly #gaveWay: () => void;
  /** The least recently used first. */
  readonly #slots = new Set<ConnectionSlot>();
  /** The oldest first. */
  readonly #unproven = new Set<ConnectionSlot>();
  /** As {@link #slots}, by address. */
  readonly #byHost = new Map<string, Set<ConnectionSlot>>();

  /** @param gaveWay called for each connection that was closed to make room */
  constructor(limits: ConnectionTableLimits, gaveWay: () => void) {
    this.#limits = limits;
    this.#gaveWay = gaveWay;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Takes a slot for a connection with an address; undefined when the table is full and nothing can be closed. */
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

  /** The connection has closed. */
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
   * The least recently used connection whose address has more connections than the newcomer's, and that is idle or
   * belongs to an address with more than half its share.
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

/** The oldest connection of an address that never sent a valid message, else the least recently used one, if idle. */
function silentIn(slots: ReadonlySet<ConnectionSlot>, now: number): ConnectionSlot | undefined {
  for (const slot of slots) if (!slot.proven) return slot;
  const [quietest] = slots;
  return quietest && now - quietest.heardAt >= IDLE_MS ? quietest : undefined;
}
