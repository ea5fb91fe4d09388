import type { Dialog } from './dialog.js';

/** All dialogs of the server, by id and by what the messages of a dialog carry. Bounded. */
export class Dialogs {
  readonly #byId = new Map<string, Dialog>();
  readonly #byKey = new Map<string, Dialog>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byId.size;
  }

  get full(): boolean {
    return this.#byId.size >= this.#limit;
  }

  add(dialog: Dialog): void {
    this.#byId.set(dialog.id, dialog);
    this.#byKey.set(dialog.key, dialog);
  }

  byId(id: string): Dialog | undefined {
    return this.#byId.get(id);
  }

  byKey(key: string): Dialog | undefined {
    return this.#byKey.get(key);
  }

  remove(dialog: Dialog): void {
    dialog.state = 'ended';
    this.#byId.delete(dialog.id);
    this.#byKey.delete(dialog.key);
  }
}
