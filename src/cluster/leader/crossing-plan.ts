import { Routes } from '../../shared/index.js';
import type { Crossing, FromEdge, FromLeader, HostAddress, Located, Placement } from '../messages.js';

type CrossingsMessage = Extract<FromLeader, { readonly type: 'crossings' }>;
type Stated = Extract<FromEdge, { readonly type: 'located' | 'hosts' | 'placed' | 'removed' }>;

/** A media host of an edge. */
interface Spot extends HostAddress {
  readonly edgeId: string;
}

/** A device, or an announcement: what is known of it. */
interface Known {
  readonly edgeId: string;
  placement: Placement | undefined;
  /** The streams that the core delivers to it. */
  receives: readonly string[];
}

interface KnownEdge {
  readonly spots: Map<string, Spot>;
  readonly devices: Map<string, Known>;
  /** Everything is to be told, not only what has changed. */
  isNew: boolean;
  /** Crossings that have changed, by {@link keyOf}. */
  readonly changed: Map<string, Ends>;
}

/** An own host of an edge, and the other one of a crossing. */
interface Ends {
  readonly host: string;
  readonly otherEdge: string;
  readonly otherHost: string;
}

/**
 * Decides which streams go from which media host to which hosts of other edges, so that every device receives the streams of
 * its delivery. What goes between hosts of one edge is that edge's own affair. An edge that is away keeps what it has stated.
 */
export class CrossingPlan {
  readonly #tell: (edgeId: string, message: CrossingsMessage) => void;
  readonly #edges = new Map<string, KnownEdge>();
  readonly #routes = new Routes<Known, Spot>(
    (from, to) => from.edgeId !== to.edgeId,
    (from, to) => this.#changed(from, to),
  );
  #isHeld = true;
  /** Edges that have not stated all that they have, while the others are told already. */
  readonly #awaited = new Set<string>();
  #isScheduled = false;

  /** @param tell sends to an edge; what is sent to one that is away is lost */
  constructor(tell: (edgeId: string, message: CrossingsMessage) => void) {
    this.#tell = tell;
  }

  /**
   * From now on edges are told: until then deliveries are not complete, and edges keep what they have.
   * @param awaited edges that have not stated all that they have: they are not told, and the others keep what they have with them
   */
  release(awaited: Iterable<string>): void {
    this.#isHeld = false;
    for (const edgeId of awaited) this.#awaited.add(edgeId);
    this.#tellAll();
  }

  /** An edge has stated all that it has, or is given up. */
  noLongerAwaits(edgeId: string): void {
    if (this.#awaited.delete(edgeId)) this.#tellAll();
  }

  /**
   * An edge has connected, and is told everything.
   * @param located absent: what it stated before goes on
   */
  greeted(edgeId: string, located: Located | undefined): void {
    this.#edge(edgeId).isNew = true;
    if (located) this.#located(edgeId, located);
    this.#schedule();
  }

  /** An edge states where something is. */
  take(edgeId: string, message: Stated): void {
    switch (message.type) {
      case 'located':
        this.#located(edgeId, message.located);
        return;
      case 'hosts':
        this.#hosts(edgeId, message.hosts);
        return;
      case 'placed':
        this.#placed(edgeId, message.placement);
        return;
      case 'removed':
        this.#removed(edgeId, message.deviceId);
    }
  }

  /** What the core delivers to a device has changed; nothing once it has ended. */
  delivered(edgeId: string, deviceId: string, streamIds: readonly string[]): void {
    const known = this.#known(edgeId, deviceId);
    known.receives = streamIds;
    this.#count(known);
    this.#forgetIfEmpty(deviceId, known);
  }

  /** An edge is given up: none of its streams goes anywhere any more. */
  forget(edgeId: string): void {
    const edge = this.#edges.get(edgeId);
    if (!edge) return;
    for (const spot of edge.spots.values()) this.#routes.drop(spot);
    this.#edges.delete(edgeId);
  }

  #located(edgeId: string, { hosts, placements }: Located): void {
    this.#hosts(edgeId, hosts);
    const stated = new Set(placements.map(({ deviceId }) => deviceId));
    for (const deviceId of [...this.#edge(edgeId).devices.keys()])
      if (!stated.has(deviceId)) this.#removed(edgeId, deviceId);
    for (const placement of placements) this.#placed(edgeId, placement);
  }

  #hosts(edgeId: string, hosts: readonly HostAddress[]): void {
    const { spots, devices } = this.#edge(edgeId);
    const stated = new Map(hosts.map((host) => [host.id, host]));
    for (const [id, spot] of spots) {
      const now = stated.get(id);
      if (now?.host === spot.host && now.port === spot.port) continue;
      this.#routes.drop(spot);
      spots.delete(id);
    }
    for (const [id, { host, port }] of stated) {
      if (spots.has(id)) continue;
      spots.set(id, { edgeId, id, host, port });
      for (const known of devices.values()) if (known.placement?.host === id) this.#count(known);
    }
  }

  #placed(edgeId: string, placement: Placement): void {
    const known = this.#known(edgeId, placement.deviceId);
    known.placement = placement;
    this.#count(known);
  }

  #removed(edgeId: string, deviceId: string): void {
    const known = this.#edges.get(edgeId)?.devices.get(deviceId);
    if (!known) return;
    known.placement = undefined;
    this.#count(known);
    this.#forgetIfEmpty(deviceId, known);
  }

  #edge(edgeId: string): KnownEdge {
    const known = this.#edges.get(edgeId);
    if (known) return known;
    const edge = { spots: new Map(), devices: new Map(), isNew: false, changed: new Map() };
    this.#edges.set(edgeId, edge);
    return edge;
  }

  #known(edgeId: string, deviceId: string): Known {
    const { devices } = this.#edge(edgeId);
    const known = devices.get(deviceId) ?? { edgeId, placement: undefined, receives: [] };
    devices.set(deviceId, known);
    return known;
  }

  #forgetIfEmpty(deviceId: string, known: Known): void {
    if (!known.placement && known.receives.length === 0)
      this.#edges.get(known.edgeId)?.devices.delete(deviceId);
  }

  #count(known: Known): void {
    const { placement, receives, edgeId } = known;
    // A host that takes no pipes of other edges has none.
    const spot = placement && this.#edges.get(edgeId)?.spots.get(placement.host);
    if (spot) this.#routes.update(known, spot, receives, placement.streamIds);
    else this.#routes.remove(known);
  }

  #changed(from: Spot, to: Spot): void {
    this.#changedFor(from, to);
    this.#changedFor(to, from);
    this.#schedule();
  }

  #changedFor({ edgeId, id: host }: Spot, { edgeId: otherEdge, id: otherHost }: Spot): void {
    const ends = { host, otherEdge, otherHost };
    this.#edges.get(edgeId)?.changed.set(keyOf(ends), ends);
  }

  /** Many changes of one turn of the event loop are told once. */
  #schedule(): void {
    if (this.#isHeld || this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      for (const [edgeId, edge] of this.#edges) this.#tellEdge(edgeId, edge);
    });
  }

  #tellAll(): void {
    for (const edge of this.#edges.values()) edge.isNew = true;
    this.#schedule();
  }

  #tellEdge(edgeId: string, edge: KnownEdge): void {
    const { isNew: isAll, changed, spots } = edge;
    if (this.#awaited.has(edgeId) || (!isAll && changed.size === 0)) return;
    const ends = isAll
      ? [...spots.values()].flatMap((spot) =>
          Array.from(this.#routes.around(spot), ({ edgeId: otherEdge, id: otherHost }) => ({
            host: spot.id,
            otherEdge,
            otherHost,
          })),
        )
      : [...changed.values()];
    edge.isNew = false;
    changed.clear();
    const crossings = ends
      .filter(({ otherEdge }) => !this.#awaited.has(otherEdge))
      .map((each) => this.#crossing(edgeId, each));
    this.#tell(edgeId, { type: 'crossings', isAll, crossings, awaited: [...this.#awaited] });
  }

  #crossing(edgeId: string, { host, otherEdge, otherHost }: Ends): Crossing {
    const own = this.#edges.get(edgeId)?.spots.get(host);
    const other = this.#edges.get(otherEdge)?.spots.get(otherHost);
    const ends = { host, otherEdge, otherHost };
    if (!own || !other) return { ...ends, sent: [] };
    const sent = this.#routes.between(own, other);
    if (this.#routes.between(other, own).length === 0) return { ...ends, sent };
    return { ...ends, sent, from: { host: other.host, port: other.port } };
  }
}

function keyOf({ host, otherEdge, otherHost }: Ends): string {
  return JSON.stringify([host, otherEdge, otherHost]);
}
