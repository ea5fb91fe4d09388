/** Steps that stop what was started, in reverse order. */
export class Teardown {
  #steps: { readonly name: string; readonly undo: () => unknown }[] = [];

  add(name: string, undo: () => unknown): void {
    this.#steps.push({ name, undo });
  }

  /** Runs all steps. If one fails, the others still run. */
  async run(onError: (name: string, error: unknown) => void): Promise<void> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    for (const { name, undo } of steps) {
      try {
        await undo();
      } catch (error) {
        onError(name, error);
      }
    }
  }
}
