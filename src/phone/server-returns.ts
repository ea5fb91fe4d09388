/** Wakes those who wait for the SIP server to be reachable again. */
export class ServerReturns {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the server's next return, and after so many ms at the latest. */
  within(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
    });
  }

  /** The server is back. */
  announce(): void {
    for (const wake of this.#waiting) wake();
  }
}
