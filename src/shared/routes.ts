/** What somebody has at a place. */
interface Claim<Place> {
  readonly place: Place;
  readonly wanted: readonly string[];
  readonly offered: readonly string[];
}

/** Where an item goes now. */
interface Route<Place> {
  readonly from: Place;
  readonly to: Set<Place>;
}

/**
 * Which items go from where to where: an item is offered at one place, and goes once to each other place where it is wanted,
 * by however many there.
 */
export class Routes<Who, Place> {
  readonly #goes: (from: Place, to: Place) => boolean;
  readonly #onChanged: (from: Place, to: Place) => void;
  readonly #claims = new Map<Who, Claim<Place>>();
  /** How many want an item at each place. */
  readonly #wanted = new Map<string, Map<Place, number>>();
  /** Who offers an item, the newest last: it comes from there. Usually one. */
  readonly #sources = new Map<string, readonly { readonly who: Who; readonly place: Place }[]>();
  readonly #routes = new Map<string, Route<Place>>();
  readonly #pairs = new Map<Place, Map<Place, Set<string>>>();

  /**
   * @param goes whether items are to go between two places at all
   * @param onChanged called when the items that go from one place to another have changed
   */
  constructor(goes: (from: Place, to: Place) => boolean, onChanged: (from: Place, to: Place) => void) {
    this.#goes = goes;
    this.#onChanged = onChanged;
  }

  /** Replaces what somebody wants and offers, and where. */
  update(who: Who, place: Place, wanted: readonly string[], offered: readonly string[]): void {
    const before = this.#claims.get(who);
    const now = { place, wanted, offered };
    this.#claims.set(who, now);
    this.#replace(who, before, now);
  }

  /** Somebody is gone. */
  remove(who: Who): void {
    const before = this.#claims.get(who);
    this.#claims.delete(who);
    this.#replace(who, before, undefined);
  }

  /** A place is gone, with all that are there. */
  drop(place: Place): void {
    for (const [who, { place: at }] of this.#claims) if (at === place) this.remove(who);
  }

  between(from: Place, to: Place): readonly string[] {
    return [...(this.#pairs.get(from)?.get(to) ?? [])];
  }

  /** The places that get items of this one, or that it gets items of. */
  around(place: Place): ReadonlySet<Place> {
    const around = new Set(this.#pairs.get(place)?.keys());
    for (const [from, targets] of this.#pairs) if (targets.has(place)) around.add(from);
    return around;
  }

  #replace(who: Who, before: Claim<Place> | undefined, now: Claim<Place> | undefined): void {
    for (const item of before?.wanted ?? []) this.#count(item, before!.place, -1);
    for (const item of now?.wanted ?? []) this.#count(item, now!.place, 1);
    for (const item of new Set([...(before?.offered ?? []), ...(now?.offered ?? [])]))
      this.#offer(item, who, now?.offered.includes(item) ? now.place : undefined);
    for (const claim of [before, now])
      for (const items of [claim?.wanted ?? [], claim?.offered ?? []])
        for (const item of items) this.#route(item);
  }

  /**
   * Another may have begun to offer an item before this one ceases, or after.
   * @param place undefined: it does not offer it any more
   */
  #offer(item: string, who: Who, place: Place | undefined): void {
    const sources = this.#sources.get(item) ?? [];
    const known = sources.find((source) => source.who === who);
    let left = sources;
    if (known && place !== undefined)
      left = sources.map((source) => (source === known ? { who, place } : source));
    else if (known) left = sources.filter((source) => source !== known);
    else if (place !== undefined) left = [...sources, { who, place }];
    if (left.length > 0) this.#sources.set(item, left);
    else this.#sources.delete(item);
  }

  #count(item: string, place: Place, change: 1 | -1): void {
    const counts = this.#wanted.get(item) ?? new Map<Place, number>();
    const count = (counts.get(place) ?? 0) + change;
    if (count > 0) counts.set(place, count);
    else counts.delete(place);
    if (counts.size > 0) this.#wanted.set(item, counts);
    else this.#wanted.delete(item);
  }

  /** Brings the route of an item up to date. */
  #route(item: string): void {
    const from = this.#sources.get(item)?.at(-1)?.place;
    const before = this.#routes.get(item);
    const to = new Set<Place>();
    if (from !== undefined)
      for (const place of this.#wanted.get(item)?.keys() ?? []) if (this.#goes(from, place)) to.add(place);
    if (to.size > 0) this.#routes.set(item, { from: from!, to });
    else this.#routes.delete(item);
    for (const place of before?.to ?? [])
      if (before!.from !== from || !to.has(place)) this.#take(item, before!.from, place);
    for (const place of to)
      if (before?.from !== from || !before!.to.has(place)) this.#add(item, from!, place);
  }

  #add(item: string, from: Place, to: Place): void {
    const targets = this.#pairs.get(from) ?? new Map<Place, Set<string>>();
    this.#pairs.set(from, targets);
    targets.set(to, (targets.get(to) ?? new Set()).add(item));
    this.#onChanged(from, to);
  }

  #take(item: string, from: Place, to: Place): void {
    const targets = this.#pairs.get(from);
    const items = targets?.get(to);
    items?.delete(item);
    if (items?.size === 0) targets!.delete(to);
    if (targets?.size === 0) this.#pairs.delete(from);
    this.#onChanged(from, to);
  }
}
