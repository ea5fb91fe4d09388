import type { Application } from '../apps/app.js';
import { ownContact } from '../apps/compose.js';
import { Dialog, dialogKey, findDialogFlow } from '../dialog/dialog.js';
import { readSavedDialog, type SavedDialog } from '../dialog/saved-dialog.js';
import type { Essentials } from '../message/essentials.js';
import type { SipResponse } from '../message/message.js';
import { parseMessage } from '../message/parse.js';
import { responseEssentials } from '../transaction/transactions.js';
import { type DialogRecord, recordOf, type UserAgentContext } from './context.js';
import type { Flow } from '../transport/flow.js';
import { type DetachedDialogs, GRACE_MS, type PendingRequests } from './pending.js';
import type { ApplicationResponses } from './responses.js';
import type { SessionTimers } from './session-timers.js';

/** So much is kept for an application that has not connected yet. */
const MAX_KEPT_BYTES = 16 << 20;

/** Dialogs of an earlier process, which their applications, once connected, go on with. */
export class RestoredDialogs {
  readonly #context: UserAgentContext;
  readonly #pending: PendingRequests;
  readonly #responses: ApplicationResponses;
  readonly #sessionTimers: SessionTimers;
  readonly #detached: DetachedDialogs;
  /** By their tags. */
  readonly #awaited = new Map<string, AwaitedApplication>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    context: UserAgentContext,
    parts: {
      pending: PendingRequests;
      responses: ApplicationResponses;
      sessionTimers: SessionTimers;
      detached: DetachedDialogs;
    },
  ) {
    this.#context = context;
    this.#pending = parts.pending;
    this.#responses = parts.responses;
    this.#sessionTimers = parts.sessionTimers;
    this.#detached = parts.detached;
  }

  /** To be called before any message is received, so that no request in these dialogs gets 481. */
  restore(all: readonly unknown[]): void {
    for (const value of all) {
      const saved = readSavedDialog(value);
      if (saved) this.#restoreOne(saved, this.#context.transports.flowAgain(saved));
      else this.#context.log.warn({}, 'a saved dialog cannot be used: its peer will get 481');
    }
    if (this.#awaited.size > 0) this.#timer = setTimeout(() => this.#giveUp(), GRACE_MS);
  }

  /**
   * Goes on with a dialog of another server. Its 2xx is not sent again if it has no ACK: that was for a transaction of the
   * other server's.
   * @returns its id; undefined when it cannot be used, is known already, or there is no room or no way for it
   */
  takeOver(value: unknown): string | undefined {
    const { dialogs, transports, log } = this.#context;
    const saved = readSavedDialog(value);
    const flow = saved && transports.flowElsewhere(saved);
    if (!flow || dialogs.full || dialogs.byId(saved.id) || dialogs.byKey(keyOf(saved))) {
      log.warn({ callId: saved?.callId }, 'a dialog of another server cannot be taken over');
      return undefined;
    }
    const confirmed = { ...saved, localContact: ownContact(flow) };
    delete confirmed.unacknowledged;
    this.#restoreOne(confirmed, flow);
    this.adopt();
    if (this.#awaited.size > 0) this.#timer ??= setTimeout(() => this.#giveUp(), GRACE_MS);
    return saved.id;
  }

  /** An application asked for a method: it gets the dialogs that wait for one with its tags, and what came in them. */
  adopt(): void {
    for (const [key, awaited] of this.#awaited) {
      const successor = this.#context.routes.pickLike('INVITE', awaited.tags);
      if (!successor) continue;
      this.#awaited.delete(key);
      for (const record of this.#context.records.values()) if (record.app === awaited) record.app = successor;
      for (const pending of this.#pending.ofApp(awaited)) pending.app = successor;
      awaited.handOver(successor);
    }
    if (this.#awaited.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Acknowledges the 2xx to an INVITE that the earlier process sent: the peer repeats it until it gets an ACK, and would
   * end the call without one.
   * @returns whether the response is such a one
   */
  acknowledge(response: SipResponse, { callId, fromTag, toTag, cseq }: Essentials): boolean {
    if (cseq.method !== 'INVITE' || response.status < 200 || response.status >= 300) return false;
    const dialog = this.#context.dialogs.byKey(dialogKey(callId, fromTag, toTag));
    if (dialog?.state !== 'confirmed' || dialog.unacknowledged !== cseq.number) return false;
    dialog.refreshTarget(response);
    this.#context.dialogChanged(dialog.id);
    const ack = dialog.request('ACK', cseq.number);
    findDialogFlow(this.#context.transports, dialog, ack, (flow) => {
      if (!(flow instanceof Error)) this.#context.transactions.sendWithoutTransaction(ack, flow);
    });
    return true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #restoreOne(saved: SavedDialog, flow: Flow): void {
    const dialog = Dialog.restore(saved, flow);
    const record = recordOf(dialog, this.#applicationFor(saved.tags));
    record.peerAllowsUpdate = saved.peerAllowsUpdate;
    this.#context.dialogs.add(dialog);
    this.#context.records.set(dialog.id, record);
    if (saved.session) this.#sessionTimers.restore(record, saved.session);
    if (saved.unacknowledged) this.#repeatAnswer(record, saved, saved.unacknowledged);
    // The peer has received from us: it has acknowledged our 2xx, or sent its own.
    else this.#context.sender.prove(flow);
  }

  /** The ACK of our 2xx may be lost, and so may the 2xx be: it is sent again until it is acknowledged. */
  #repeatAnswer(
    record: DialogRecord,
    { localSdp, localTag, callId }: SavedDialog,
    { head, hasSdp }: NonNullable<SavedDialog['unacknowledged']>,
  ): void {
    const response = parseMessage(Buffer.from(hasSdp ? head + localSdp : head, 'latin1'));
    const essentials = response.kind === 'response' ? responseEssentials(response) : undefined;
    if (response.kind !== 'response' || !essentials) {
      this.#context.log.warn({ callId }, 'a saved 2xx cannot be read, and is not sent again');
      return;
    }
    const { dialog } = record;
    // What a response has of its request suffices to recognise retransmissions of that.
    const { headers, body } = response;
    const request = { kind: 'request', method: 'INVITE', uri: dialog.remoteTarget, headers, body } as const;
    const transaction = this.#context.transactions.resume(request, essentials, dialog.flow, localTag);
    this.#responses.awaitAck(record, transaction, response);
    transaction.respond(response);
  }

  #applicationFor(tags: readonly string[]): AwaitedApplication {
    const key = [...tags].sort().join();
    let awaited = this.#awaited.get(key);
    if (!awaited) {
      awaited = new AwaitedApplication(tags, () => this.#context.counters.droppedAppBacklog++);
      this.#awaited.set(key, awaited);
    }
    return awaited;
  }

  #giveUp(): void {
    this.#timer = undefined;
    for (const awaited of this.#awaited.values()) {
      awaited.connected = false;
      this.#detached.hangUpDeserted(awaited);
    }
    this.#awaited.clear();
  }
}

function keyOf({ callId, localTag, remoteTag }: SavedDialog): string {
  return dialogKey(callId, localTag, remoteTag);
}

/** Stands for an application that is expected to connect. */
class AwaitedApplication implements Application {
  readonly tags: readonly string[];
  connected = true;
  readonly #dropped: () => void;
  #frames: Buffer[] = [];
  #bytes = 0;

  constructor(tags: readonly string[], dropped: () => void) {
    this.tags = tags;
    this.#dropped = dropped;
  }

  send(bytes: Buffer): void {
    if (this.#bytes + bytes.length > MAX_KEPT_BYTES) {
      this.#dropped();
      return;
    }
    this.#bytes += bytes.length;
    this.#frames.push(bytes);
  }

  /** Gives the application that has connected everything that came for it. */
  handOver(successor: Application): void {
    this.connected = false;
    for (const frame of this.#frames) successor.send(frame);
    this.#frames = [];
  }
}
