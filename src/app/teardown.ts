/** What has to be undone, in reverse order of its doing. */
export class Teardown {
  #steps: { readonly name: string; readonly undo: () => unknown }[] = [];

  add(name: string, undo: () => unknown): void {
    this.#steps.push({ name, undo });
  }

  /** Undoes everything; a step that fails does not keep the others from running. */
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
