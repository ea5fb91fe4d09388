import { randomUUID } from 'node:crypto';
import type { App, Application } from '../apps/app.js';
import type { Dialog } from '../dialog/dialog.js';
import type { ReliableProvisionals } from '../dialog/retransmissions.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import type { DialogRecord, UserAgentContext } from './context.js';

/** How long an application's dialogs are kept after it has disconnected. */
export const GRACE_MS = 30_000;

/** A request that waits for an application's answer. */
export interface PendingRequest {
  readonly id: string;
  readonly transaction: ServerTransaction;
  app: Application;
  /** The dialog that it belongs to, or that it creates (INVITE and SUBSCRIBE). */
  dialog: Dialog | undefined;
  /** Whether it came inside a dialog. */
  readonly inside: boolean;
  reliable: ReliableProvisionals | undefined;
  /** Stops the limit on how long an INVITE may ring. */
  stopRinging: (() => void) | undefined;
}

/** All requests that wait for an application's response. */
export class PendingRequests {
  readonly #byId = new Map<string, PendingRequest>();
  readonly #byTransaction = new Map<ServerTransaction, PendingRequest>();

  get size(): number {
    return this.#byId.size;
  }

  add(transaction: ServerTransaction, app: Application, dialog: Dialog | undefined): PendingRequest {
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

  /** A dialog's INVITE that has no final response yet. */
  inviteOf(dialog: Dialog): PendingRequest | undefined {
    for (const pending of this.#byId.values()) {
      if (pending.dialog === dialog && pending.transaction.request.method === 'INVITE') return pending;
    }
    return undefined;
  }

  ofDialog(dialog: Dialog): PendingRequest[] {
    return [...this.#byId.values()].filter((pending) => pending.dialog === dialog);
  }

  ofApp(app: Application): PendingRequest[] {
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
 * Detached dialogs: their application has disconnected. At the peer's next request, the application's next
 * connection, or another application with the same tags, takes them over. A dialog that nobody takes over is hung up.
 */
export class DetachedDialogs {
  readonly #context: UserAgentContext;
  readonly #hangUp: (dialog: Dialog, why: string) => void;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(context: UserAgentContext, hangUp: (dialog: Dialog, why: string) => void) {
    this.#context = context;
    this.#hangUp = hangUp;
  }

  /** The application of a dialog, or the one that takes over; undefined when there is none. */
  ownerOf(record: DialogRecord): Application | undefined {
    if (record.app.connected) return record.app;
    const successor = this.#context.routes.pickLike(record.dialog.method, record.app.tags);
    if (successor) record.app = successor;
    return successor;
  }

  /** An application has disconnected. */
  appClosed(app: App): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.hangUpDeserted(app);
    }, GRACE_MS);
    this.#timers.add(timer);
  }

  /** Ends the dialogs of an application that is gone, if no other takes them over. */
  hangUpDeserted(app: Application): void {
    for (const record of [...this.#context.records.values()]) {
      if (record.app === app && !this.ownerOf(record))
        this.#hangUp(record.dialog, 'application disconnected');
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
