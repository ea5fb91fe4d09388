import { type App, reportCdr } from '../apps/app.js';
import { fromNetwork, sipFrame } from '../apps/wire.js';
import { Dialog } from '../dialog/dialog.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { parseNameAddr } from '../message/uri.js';
import { Cancellation, InviteClientTransaction } from '../transaction/client-transaction.js';
import type { Flow } from '../transport/flow.js';
import { type DialogRecord, endDialog, noteAllow, recordOf, type UserAgentContext } from './context.js';
import { locallyGeneratedResponse } from '../transaction/transactions.js';

interface OutgoingInviteHandlers {
  hangUp(dialog: Dialog, why: string): void;
  /** The first 2xx came and confirmed this dialog. */
  answered(record: DialogRecord, response: SipResponse): void;
  ended(): void;
}

/**
 * An application's INVITE or SUBSCRIBE outside dialogs, with the dialogs that its responses create: one for each
 * branch, if a proxy forked it (RFC 3261 section 13.2.2).
 */
export class OutgoingInvite {
  readonly flow: Flow;
  readonly #context: UserAgentContext;
  readonly #id: string;
  readonly #app: App;
  readonly #request: SipRequest;
  readonly #handlers: OutgoingInviteHandlers;
  /** By remote tag. */
  readonly #dialogs = new Map<string, DialogRecord>();
  /** The dialog id that the application is given until the remote tag is known. */
  readonly #firstDialogId: string;
  #cancellation: Cancellation | undefined;
  #answered: Dialog | undefined;
  #finished = false;
  /** Highest RSeq received on each branch (RFC 3262 section 4). */
  readonly #reliable = new Map<string, number>();

  constructor(
    context: UserAgentContext,
    id: string,
    app: App,
    request: SipRequest,
    flow: Flow,
    handlers: OutgoingInviteHandlers,
  ) {
    this.#context = context;
    this.#id = id;
    this.#app = app;
    this.#request = request;
    this.flow = flow;
    this.#handlers = handlers;
    this.#firstDialogId = this.#newDialogId();
  }

  start(): void {
    const transaction = this.#context.transactions.send(this.#request, this.flow, {
      response: (response) => this.#onResponse(response),
      failed: (failure) => this.#onFinal(locallyGeneratedResponse(this.#request, failure), ''),
    });
    if (transaction instanceof InviteClientTransaction) {
      this.#cancellation = new Cancellation(this.#context.transactions, transaction);
    }
  }

  /** Cancels it, now or after the first provisional response (section 9.1). Returns the CANCEL. */
  cancel(extra: readonly (readonly [string, string])[]): SipRequest | undefined {
    if (this.#finished || this.#cancellation?.wanted === true) return undefined;
    return this.#cancellation?.cancel(extra);
  }

  #onResponse(response: SipResponse): void {
    const tag = parseNameAddr(response.headers.get('to') ?? '')?.params.get('tag') ?? '';
    if (response.status < 200) this.#onProvisional(response, tag);
    else if (response.status < 300) this.#onAccepted(response, tag);
    else this.#onFinal(response, '');
  }

  #onProvisional(response: SipResponse, tag: string): void {
    this.#cancellation?.provisionalReceived();
    const sequence = Number(response.headers.get('rseq'));
    if (response.headers.has('rseq')) {
      if (sequence <= (this.#reliable.get(tag) ?? 0)) return;
      this.#reliable.set(tag, sequence);
    }
    const record = tag !== '' && response.status > 100 ? this.#dialogFor(response, tag) : undefined;
    this.#tell(response, record?.dialog.id ?? this.#firstDialogId);
  }

  #onAccepted(response: SipResponse, tag: string): void {
    const record = this.#dialogFor(response, tag);
    const { dialog, ack } = record;
    if (this.#answered) {
      if (this.#answered !== dialog) this.#refuseFork(record, response);
      else if (ack) this.#context.transactions.resendWithoutTransaction(ack.request, ack.flow);
      return;
    }
    this.#answered = dialog;
    this.#finished = true;
    dialog.confirmAsClient(response);
    record.byeAfterAck = this.#cancellation?.wanted === true;
    for (const other of this.#dialogs.values()) if (other !== record) endDialog(this.#context, other.dialog);
    this.#handlers.ended();
    noteAllow(record, response);
    this.#handlers.answered(record, response);
    this.#tell(response, dialog.id);
    if (this.#request.method === 'INVITE') reportCdr(this.#context, 'cdr:start', 'network', response, 'uac');
  }

  /** Another branch answered too: acknowledge it and hang up (section 13.2.2.4). */
  #refuseFork(record: DialogRecord, response: SipResponse): void {
    const { dialog } = record;
    if (dialog.state === 'confirmed') {
      if (record.ack)
        this.#context.transactions.resendWithoutTransaction(record.ack.request, record.ack.flow);
      return;
    }
    dialog.confirmAsClient(response);
    const sequence = dialog.unacknowledged;
    const ack = dialog.request('ACK', sequence);
    this.#context.transactions.sendWithoutTransaction(ack, this.flow);
    record.ack = { sequence, request: ack, flow: this.flow };
    this.#handlers.hangUp(dialog, 'another branch answered first');
  }

  #onFinal(response: SipResponse, dialogId: string): void {
    if (this.#finished) return;
    this.#finished = true;
    for (const { dialog } of this.#dialogs.values()) endDialog(this.#context, dialog);
    this.#handlers.ended();
    this.#tell(response, dialogId === '' ? this.#firstDialogId : dialogId);
    if (this.#request.method !== 'INVITE') return;
    const why = response.status === 487 ? 'call-canceled' : 'call-rejected';
    reportCdr(this.#context, 'cdr:stop', 'network', response, why);
  }

  #tell(response: SipResponse, dialogId: string): void {
    this.#app.send(sipFrame(response, fromNetwork(this.flow), this.#id, dialogId));
  }

  get #localTag(): string {
    return parseNameAddr(this.#request.headers.get('from') ?? '')?.params.get('tag') ?? '';
  }

  #newDialogId(): string {
    return this.#context.dialogs.newId(this.#request.headers.get('call-id') ?? '', this.#localTag);
  }

  #dialogFor(response: SipResponse, tag: string): DialogRecord {
    const known = this.#dialogs.get(tag);
    if (known) return known;
    const isFirst = this.#dialogs.size === 0 && !this.#context.dialogs.byId(this.#firstDialogId);
    const id = isFirst ? this.#firstDialogId : this.#newDialogId();
    const tags = { local: this.#localTag, remote: tag };
    const dialog = Dialog.asClient(id, this.#request, response, tags, this.flow);
    dialog.localSdp = this.#request.body;
    const record = recordOf(dialog, this.#app);
    this.#dialogs.set(tag, record);
    this.#context.dialogs.add(dialog);
    this.#context.records.set(id, record);
    return record;
  }
}
