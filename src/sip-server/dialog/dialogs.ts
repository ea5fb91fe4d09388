import { randomUUID } from 'node:crypto';
import type { Dialog } from './dialog.js';

/** What the admin protocol carries unharmed: printable, and none of its separators. */
const SAFE_ID = /^[!-{}~]{1,300}$/;

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

  /**
   * The id of a new dialog: of Call-ID and tag of the From that began it, as applications look for dialogs by just
   * that (drachtio-srf's `findDialogByCallIDAndFromTag`); by chance where that is taken or cannot be told.
   */
  newId(callId: string, fromTag: string): string {
    const id = `${callId};from-tag=${fromTag}`;
    return SAFE_ID.test(id) && !this.#byId.has(id) ? id : randomUUID();
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
