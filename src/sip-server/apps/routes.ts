import type { App } from './app.js';

/** Which applications want which requests, and whose turn it is: round robin for each method. */
export class Routes {
  readonly #wanting = new Map<string, App[]>();
  readonly #turns = new Map<string, number>();

  /** `verb` is a method or an event such as `cdr:start`, in any case. */
  add(app: App, verb: string): void {
    const key = verb.toLowerCase();
    const apps = this.#wanting.get(key);
    if (!apps) this.#wanting.set(key, [app]);
    else if (!apps.includes(app)) apps.push(app);
  }

  remove(app: App, verb: string): void {
    const key = verb.toLowerCase();
    const left = this.#wanting.get(key)?.filter((other) => other !== app) ?? [];
    if (left.length > 0) this.#wanting.set(key, left);
    else this.#wanting.delete(key);
  }

  removeApp(app: App): void {
    for (const verb of [...this.#wanting.keys()]) this.remove(app, verb);
  }

  /** Whether any application wants a verb. */
  wanted(verb: string): boolean {
    return this.#wanting.has(verb.toLowerCase());
  }

  /** The next application for a verb; with a tag, the next of those that carry it. */
  pick(verb: string, tag?: string): App | undefined {
    const key = verb.toLowerCase();
    const apps = (this.#wanting.get(key) ?? []).filter((app) => tag === undefined || app.tags.includes(tag));
    if (apps.length === 0) return undefined;
    const turn = this.#turns.get(key) ?? 0;
    this.#turns.set(key, (turn + 1) % Number.MAX_SAFE_INTEGER);
    return apps[turn % apps.length];
  }

  /** The next application for a verb with exactly these tags: one of the same kind as another. */
  pickLike(verb: string, tags: readonly string[]): App | undefined {
    const apps = this.#wanting.get(verb.toLowerCase()) ?? [];
    return apps.find((app) => [...app.tags].sort().join() === [...tags].sort().join());
  }

  /** Methods that some application wants, in upper case; for Allow. */
  get methods(): string[] {
    return [...this.#wanting.keys()].filter((verb) => !verb.includes(':')).map((verb) => verb.toUpperCase());
  }
}
