/** Timer values of RFC 3261 section 17.1.1.1, in milliseconds. */
export const T1 = 500;
export const T2 = 4000;
export const T4 = 5000;

/** 64 * T1: how long a transaction waits for its peer (timers B, F, H, J, L, M). */
export const PATIENCE = 64 * T1;

/** The timers of one state machine, by name; setting one again replaces it. */
export class Timers<Name extends string> {
  readonly #running = new Map<Name, NodeJS.Timeout>();

  set(name: Name, ms: number, fire: () => void): void {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      fire();
    }, ms);
    this.#running.set(name, timer);
  }

  clear(name: Name): void {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  clearAll(): void {
    for (const timer of this.#running.values()) clearTimeout(timer);
    this.#running.clear();
  }
}
