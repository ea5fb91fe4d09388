import type { App } from '../apps/app.js';
import type { Dialog } from '../dialog/dialog.js';
import type { DialogRecord, UserAgentContext } from './context.js';

/** How long the calls of an application that is gone wait for it to come back. */
const GRACE_MS = 30_000;

/**
 * Calls whose application lost its connection. Its next connection, or another application with the same tags,
 * takes them over when they next hear from their peer; whom nobody takes over is hung up.
 */
export class Orphans {
  readonly #context: UserAgentContext;
  readonly #hangUp: (dialog: Dialog, why: string) => void;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(context: UserAgentContext, hangUp: (dialog: Dialog, why: string) => void) {
    this.#context = context;
    this.#hangUp = hangUp;
  }

  /** The application of a dialog, or its successor; undefined when there is none. */
  ownerOf(record: DialogRecord): App | undefined {
    if (record.app.connected) return record.app;
    const successor = this.#context.routes.pickLike(record.dialog.method, record.app.tags);
    if (successor) record.app = successor;
    return successor;
  }

  /** An application is gone. */
  appClosed(app: App): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      for (const record of [...this.#context.records.values()]) {
        if (record.app === app && !this.ownerOf(record)) this.#hangUp(record.dialog, 'application gone');
      }
    }, GRACE_MS);
    this.#timers.add(timer);
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
