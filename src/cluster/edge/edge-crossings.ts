import type { Crossing, FromEdge, FromLeader, HostAddress, Located, Placement } from '../messages.js';

type CrossingsListener = (crossings: readonly Crossing[]) => void;

/**
 * The edge's part in streams between media hosts of different edges: tells the leader where hosts and devices are, and keeps
 * what the leader has said is to go from where to where. That goes on while there is no leader.
 */
export class EdgeCrossings {
  readonly #send: (message: FromEdge) => void;
  /** Undefined until it is known. */
  #hosts: readonly HostAddress[] | undefined;
  readonly #placements = new Map<string, Placement>();
  /** Undefined until a leader has told. */
  #crossings: Map<string, Crossing> | undefined;
  #listener: CrossingsListener | undefined;

  /** @param send to the leader, if there is one */
  constructor(send: (message: FromEdge) => void) {
    this.#send = send;
  }

  /** All that the leader must know; undefined until it is known. */
  get stated(): Located | undefined {
    return this.#hosts && { hosts: this.#hosts, placements: [...this.#placements.values()] };
  }

  /** It is known where everything is. To be called before changes are told. */
  located({ hosts, placements }: Located): void {
    this.#hosts = hosts;
    this.#placements.clear();
    for (const placement of placements) this.#placements.set(placement.deviceId, placement);
    this.#send({ type: 'located', located: { hosts, placements } });
  }

  /** Replaces the media hosts that take part. */
  hosts(hosts: readonly HostAddress[]): void {
    this.#hosts = hosts;
    this.#send({ type: 'hosts', hosts });
  }

  placed(placement: Placement): void {
    this.#placements.set(placement.deviceId, placement);
    this.#send({ type: 'placed', placement });
  }

  removed(deviceId: string): void {
    this.#placements.delete(deviceId);
    this.#send({ type: 'removed', deviceId });
  }

  /** Has a listener told all crossings, now if they are known, and whenever they change. */
  watch(listener: CrossingsListener): void {
    this.#listener = listener;
    this.#tell();
  }

  take({ isAll, crossings, awaited }: Extract<FromLeader, { readonly type: 'crossings' }>): void {
    const known = new Map(this.#crossings);
    if (isAll) for (const [key, { otherEdge }] of known) if (!awaited.includes(otherEdge)) known.delete(key);
    for (const crossing of crossings) {
      const { host, otherEdge, otherHost, sent, from } = crossing;
      const key = JSON.stringify([host, otherEdge, otherHost]);
      if (sent.length > 0 || from) known.set(key, crossing);
      else known.delete(key);
    }
    this.#crossings = known;
    this.#tell();
  }

  #tell(): void {
    if (this.#crossings) this.#listener?.([...this.#crossings.values()]);
  }
}
