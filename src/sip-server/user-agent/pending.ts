import { randomUUID } from 'node:crypto';
import type { App } from '../apps/app.js';
import type { Dialog } from '../dialog/dialog.js';
import type { ReliableProvisionals } from '../dialog/retransmissions.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import type { DialogRecord, UserAgentContext } from './context.js';

/** How long the calls of an application that is gone wait for it to come back. */
const GRACE_MS = 30_000;

/** A request that waits for an application's answer. */
export interface PendingRequest {
  readonly id: string;
  readonly transaction: ServerTransaction;
  readonly app: App;
  /** The dialog that it belongs to or, for an INVITE or SUBSCRIBE, makes. */
  dialog: Dialog | undefined;
  /** Whether it came inside a dialog. */
  readonly inside: boolean;
  reliable: ReliableProvisionals | undefined;
  /** Ends the time that an INVITE may stay unanswered. */
  stopRinging: (() => void) | undefined;
}

/** All requests that wait for an application. */
export class PendingRequests {
  readonly #byId = new Map<string, PendingRequest>();
  readonly #byTransaction = new Map<ServerTransaction, PendingRequest>();

  get size(): number {
    return this.#byId.size;
  }

  add(transaction: ServerTransaction, app: App, dialog: Dialog | undefined): PendingRequest {
    const inside = dialog !== undefined;
    const pending: PendingRequest = {
      id: randomUUID(),
      transaction,
      app,
      dialog,
      inside,
      reliable: undefined,
      stopRinging: undefined,
    };
    this.#byId.set(pending.id, pending);
    this.#byTransaction.set(transaction, pending);
    transaction.onSettled(() => this.remove(pending));
    return pending;
  }

  get(id: string): PendingRequest | undefined {
    return this.#byId.get(id);
  }

  /** Removes a request and returns its transaction; undefined when it is unknown or already answered. */
  take(id: string): ServerTransaction | undefined {
    const pending = this.#byId.get(id);
    if (!pending || pending.transaction.finished) return undefined;
    this.remove(pending);
    return pending.transaction;
  }

  of(transaction: ServerTransaction): PendingRequest | undefined {
    return this.#byTransaction.get(transaction);
  }

  /** The INVITE of a dialog that has no final answer yet. */
  inviteOf(dialog: Dialog): PendingRequest | undefined {
    for (const pending of this.#byId.values()) {
      if (pending.dialog === dialog && pending.transaction.request.method === 'INVITE') return pending;
    }
    return undefined;
  }

  ofDialog(dialog: Dialog): PendingRequest[] {
    return [...this.#byId.values()].filter((pending) => pending.dialog === dialog);
  }

  ofApp(app: App): PendingRequest[] {
    return [...this.#byId.values()].filter((pending) => pending.app === app);
  }

  remove(pending: PendingRequest): void {
    pending.reliable?.stop();
    pending.stopRinging?.();
    this.#byId.delete(pending.id);
    this.#byTransaction.delete(pending.transaction);
  }
}

/**
 * Calls whose application lost its connection. Its next connection, or another application with the same tags,
 * takes them over when they next hear from their peer; whom nobody takes over is hung up.
 */
export class DetachedDialogs {
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
