import { randomUUID } from 'node:crypto';
import { type App, type Application, reportCdr } from '../apps/app.js';
import { fromNetwork, sipFrame } from '../apps/wire.js';
import { type Dialog, dialogKey } from '../dialog/dialog.js';
import { readRack } from '../dialog/retransmissions.js';
import type { Essentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import type { ServerMachine, ServerTransaction } from '../transaction/server-machine.js';
import { Timers } from '../transaction/timing.js';
import type { Flow } from '../transport/flow.js';
import { type ApplicationResponses, NO_CALL } from './responses.js';
import { type DialogRecord, endDialog, noteAllow, type UserAgentContext } from './context.js';
import type { DetachedDialogs, PendingRequests } from './pending.js';
import type { Proxy } from '../proxy/proxy.js';
import { NewRequests } from './new-requests.js';
import type { SessionTimers } from './session-timers.js';

/** How long an application may leave an INVITE without a final response. */
const MAX_RINGING_MS = 300_000;

/** The user agent server: passes requests to applications (RFC 3261 sections 8.2, 12.2.2 and 13.3). */
export class UserAgentServer {
  readonly #context: UserAgentContext;
  readonly #pending: PendingRequests;
  readonly #responses: ApplicationResponses;
  readonly #sessionTimers: SessionTimers;
  readonly #detached: DetachedDialogs;
  readonly #proxy: Proxy;
  readonly #newRequests: NewRequests;

  constructor(
    context: UserAgentContext,
    parts: {
      pending: PendingRequests;
      responses: ApplicationResponses;
      sessionTimers: SessionTimers;
      detached: DetachedDialogs;
      proxy: Proxy;
    },
  ) {
    this.#context = context;
    this.#pending = parts.pending;
    this.#responses = parts.responses;
    this.#sessionTimers = parts.sessionTimers;
    this.#detached = parts.detached;
    this.#proxy = parts.proxy;
    this.#newRequests = new NewRequests(context, parts.proxy, (transaction, app) =>
      this.#hand(transaction, app, undefined, transaction.flow.local),
    );
  }

  /** A new request: no transaction matched it. */
  request(transaction: ServerTransaction): void {
    const { request, essentials, localTag } = transaction;
    if (request.method === 'INVITE') transaction.respond(buildResponse(request, 100));
    const tooShort = this.#sessionTimers.refusal(request, localTag);
    if (tooShort) this.#refuse(transaction, tooShort);
    else if (essentials.toTag !== '' && request.method !== 'REGISTER') this.#requestInside(transaction);
    else this.#newRequests.take(transaction);
  }

  /** A CANCEL: we respond to it and to its INVITE before the application is told (section 9.2). */
  cancel(transaction: ServerTransaction, invite: ServerMachine | undefined): void {
    const { request } = transaction;
    if (!invite) {
      this.#refuse(transaction, buildResponse(request, 481, { toTag: transaction.localTag, why: NO_CALL }));
      return;
    }
    transaction.respond(buildResponse(request, 200, { toTag: invite.localTag }));
    if (!invite.open || this.#proxy.cancel(invite.open) || this.#newRequests.cancel(invite.open)) return;
    const pending = this.#pending.of(invite.open);
    if (!pending) return;
    const toTag = pending.dialog?.localTag ?? invite.localTag;
    pending.transaction.respond(
      buildResponse(pending.transaction.request, 487, { toTag, why: 'cancelled by the caller' }),
    );
    reportCdr(this.#context, 'cdr:stop', 'network', request, 'call-canceled');
    pending.app.send(sipFrame(request, fromNetwork(transaction.flow), pending.id, ''));
    if (pending.dialog && !pending.inside) endDialog(this.#context, pending.dialog);
  }

  /** The ACK for a 2xx. */
  ack(request: SipRequest, essentials: Essentials, flow: Flow): void {
    const record = this.#recordFor(essentials);
    if (record?.answer?.sequence !== essentials.cseq.number) {
      // A late or repeated ACK, or one for a call that has ended. ACKs get no response.
      if (!record) this.#context.counters.droppedStray++;
      return;
    }
    this.#context.sender.prove(flow);
    record.answer.stop();
    record.answer = undefined;
    record.dialog.flow = flow;
    this.#context.dialogChanged(record.dialog.id);
    record.app.send(sipFrame(request, fromNetwork(flow), randomUUID(), record.dialog.id));
  }

  /** An INVITE was repeated on another connection: its 2xx, and later requests, take that connection. */
  repeated({ localTag }: ServerMachine, { callId, fromTag }: Essentials, flow: Flow): void {
    const record = this.#recordFor({ callId, toTag: localTag, fromTag });
    if (!record?.answer) return;
    record.dialog.flow = flow;
    this.#context.dialogChanged(record.dialog.id);
    record.answer.again();
  }

  /** Drops requests that wait for the router. */
  stop(): void {
    this.#newRequests.stop();
  }

  /** An application has disconnected: responds to the requests that it left open. */
  appClosed(app: App): void {
    for (const pending of this.#pending.ofApp(app))
      this.#responses.refuse(pending, 503, 'the application disconnected');
    this.#detached.appClosed(app);
  }

  #refuse(transaction: ServerTransaction, response: SipResponse): void {
    transaction.respond(response);
    this.#context.refusals.tell(transaction.request, response, transaction.flow);
  }

  #requestInside(transaction: ServerTransaction): void {
    const { request, essentials, localTag, flow } = transaction;
    const record = this.#recordFor(essentials);
    if (!record) {
      this.#refuse(transaction, buildResponse(request, 481, { toTag: localTag, why: NO_CALL }));
      return;
    }
    const { dialog } = record;
    const refusal = this.#refusalInside(record, transaction);
    if (refusal) {
      this.#refuse(transaction, refusal);
      return;
    }
    // The local tag proves the peer: we gave it to nobody else.
    this.#context.sender.prove(flow);
    dialog.flow = flow;
    noteAllow(record, request);
    this.#hand(transaction, record.app, dialog);
    if (request.method !== 'BYE') {
      this.#context.dialogChanged(dialog.id);
      return;
    }
    reportCdr(this.#context, 'cdr:stop', 'network', request, 'normal-release');
    // The dialog ends whatever the application responds to the BYE (section 15.1.2).
    this.#endPendingOf(dialog, transaction);
    endDialog(this.#context, dialog);
  }

  #refusalInside(record: DialogRecord, transaction: ServerTransaction): SipResponse | undefined {
    const { request, essentials } = transaction;
    const { dialog } = record;
    // Section 12.2.2: requests must come in order.
    if (!dialog.admits(essentials.cseq.number))
      return buildResponse(request, 500, { why: 'CSeq out of order' });
    if (request.method === 'INVITE') {
      // Section 14.2: one INVITE at a time, from either side.
      if (record.inviting)
        return buildResponse(request, 491, { why: 'an INVITE from this side is in progress' });
      if (this.#pending.inviteOf(dialog)) {
        return buildResponse(request, 500, {
          why: 'an earlier INVITE has no final response yet',
          headers: [['Retry-After', '5']],
        });
      }
    }
    if (request.method === 'PRACK' && !this.#takesPrack(dialog, request))
      return buildResponse(request, 481, { why: 'no response matches this PRACK' });
    return undefined;
  }

  #takesPrack(dialog: Dialog, request: SipRequest): boolean {
    const rack = readRack(request.headers.get('rack') ?? '');
    const reliable = this.#pending.inviteOf(dialog)?.reliable;
    return rack !== undefined && reliable?.acknowledge(rack) === true;
  }

  #hand(
    transaction: ServerTransaction,
    app: Application,
    dialog: Dialog | undefined,
    receivedOn?: Flow['local'],
  ): void {
    const pending = this.#pending.add(transaction, app, dialog);
    const { request, flow } = transaction;
    app.send(sipFrame(request, { ...fromNetwork(flow), receivedOn }, pending.id, dialog?.id ?? ''));
    if (request.method !== 'INVITE') return;
    const timers = new Timers<'ringing'>();
    timers.set('ringing', MAX_RINGING_MS, () => this.#responses.refuse(pending, 480, 'not answered in time'));
    pending.stopRinging = () => timers.clearAll();
  }

  /** Responds 487 to the requests that are still open in a call that ends (section 15.1.2). */
  #endPendingOf(dialog: Dialog, except: ServerTransaction): void {
    for (const pending of this.#pending.ofDialog(dialog)) {
      const { transaction } = pending;
      if (transaction === except) continue;
      transaction.respond(
        buildResponse(transaction.request, 487, { toTag: dialog.localTag, why: 'the call ended' }),
      );
      this.#pending.remove(pending);
    }
  }

  /** The dialog of a message, if it has a connected application. */
  #recordFor({
    callId,
    toTag,
    fromTag,
  }: Pick<Essentials, 'callId' | 'toTag' | 'fromTag'>): DialogRecord | undefined {
    const dialog = this.#context.dialogs.byKey(dialogKey(callId, toTag, fromTag));
    const record = dialog && this.#context.records.get(dialog.id);
    return record && this.#detached.ownerOf(record) ? record : undefined;
  }
}
