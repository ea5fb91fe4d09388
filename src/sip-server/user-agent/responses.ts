import { type App, reportCdr, type Routes } from '../apps/app.js';
import { type AppMessage, fromApplication, outcomeFrame, sentFrame } from '../apps/wire.js';
import { Unacknowledged2xx, ReliableProvisionals } from '../dialog/retransmissions.js';
import { Dialog } from '../dialog/dialog.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { parseNameAddr } from '../message/uri.js';
import { buildResponse } from '../message/respond.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import { appHeaders, contentType, ownContact } from '../apps/compose.js';
import {
  type DialogRecord,
  endDialog,
  endsDialog,
  noteAllow,
  recordOf,
  type UserAgentContext,
} from './context.js';
import type { PendingRequest, PendingRequests } from './pending.js';
import type { SessionTimers, Subscriptions } from './session-timers.js';

/** The methods that this server knows. */
const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'REGISTER',
  'PRACK',
  'UPDATE',
  'INFO',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'MESSAGE',
  'PUBLISH',
];

/** Reason for a 481. */
export const NO_CALL = 'no such call';

/** Sends applications' responses and maintains the dialogs that they create (RFC 3261 sections 8.2.6 and 13.3.1). */
export class ApplicationResponses {
  readonly #context: UserAgentContext;
  readonly #pending: PendingRequests;
  readonly #sessionTimers: SessionTimers;
  readonly #subscriptions: Subscriptions;
  readonly #hangUp: (dialog: Dialog, why: string) => void;

  constructor(
    context: UserAgentContext,
    pending: PendingRequests,
    sessionTimers: SessionTimers,
    subscriptions: Subscriptions,
    hangUp: (dialog: Dialog, why: string) => void,
  ) {
    this.#context = context;
    this.#pending = pending;
    this.#sessionTimers = sessionTimers;
    this.#subscriptions = subscriptions;
    this.#hangUp = hangUp;
  }

  /** An application responds to a request. */
  respond(app: App, messageId: string, transactionId: string, message: AppMessage): void {
    const pending = this.#pending.get(transactionId);
    if (!pending || pending.transaction.finished) {
      app.send(outcomeFrame(messageId, false, whyUnknown(message)));
      return;
    }
    const reliable = wantsReliable(message);
    if (reliable && !supportsReliable(pending.transaction.request)) {
      app.send(outcomeFrame(messageId, false, 'Remote endpoint does not support 100rel'));
      return;
    }
    if (pending.reliable?.blocks(message.status, reliable) === true) {
      pending.reliable.defer(() => this.respond(app, messageId, transactionId, message));
      return;
    }
    this.#send(app, messageId, pending, message, reliable);
  }

  /** Responds in place of an application that cannot. */
  refuse(pending: PendingRequest, status: number, why: string): void {
    const { transaction, dialog, inside } = pending;
    const { request, localTag } = transaction;
    const response = buildResponse(request, status, { toTag: dialog?.localTag ?? localTag, why });
    transaction.respond(response);
    this.#context.refusals.tell(request, response, transaction.flow);
    this.#pending.remove(pending);
    if (inside || request.method !== 'INVITE') return;
    if (dialog) endDialog(this.#context, dialog);
    reportCdr(this.#context, 'cdr:stop', 'application', response, 'call-rejected');
  }

  #send(app: App, messageId: string, pending: PendingRequest, message: AppMessage, reliable: boolean): void {
    const { transaction } = pending;
    if (makesDialog(pending) && message.status > 100) this.#makeDialog(pending, message);
    const response = this.#compose(pending, message);
    if (reliable) this.#reliable(pending).begin(response);
    // Before it is sent: who restores the dialog must know what the peer was told.
    if (response.status >= 200 && response.status < 300) this.#accepted(pending, response);
    transaction.respond(response);
    app.send(
      sentFrame(messageId, response, fromApplication(transaction.flow), pending.id, pending.dialog?.id ?? ''),
    );
    if (response.status >= 200) this.#finish(pending, response);
  }

  #reliable(pending: PendingRequest): ReliableProvisionals {
    pending.reliable ??= new ReliableProvisionals(
      pending.transaction.essentials.cseq.number,
      (response) => pending.transaction.respond(response),
      () => this.refuse(pending, 504, 'no PRACK in time'),
    );
    return pending.reliable;
  }

  #makeDialog(pending: PendingRequest, message: AppMessage): void {
    if (pending.dialog) return;
    const { request, essentials, flow, localTag } = pending.transaction;
    const tag = parseNameAddr(message.headers.get('to') ?? '')?.params.get('tag') ?? localTag;
    const contact = message.headers.get('contact') ?? ownContact(flow);
    const id = this.#context.dialogs.newId(essentials.callId, essentials.fromTag);
    const dialog = Dialog.asServer(id, request, essentials, tag, flow, contact);
    pending.dialog = dialog;
    if (message.status >= 300) return;
    this.#context.dialogs.add(dialog);
    const record = recordOf(dialog, pending.app);
    noteAllow(record, request);
    this.#context.records.set(dialog.id, record);
  }

  #compose(pending: PendingRequest, message: AppMessage): SipResponse {
    const { transaction, dialog } = pending;
    const { request, flow, localTag } = transaction;
    const headers = appHeaders(message, flow);
    const { status } = message;
    if (carriesContact(request.method, status) && !message.headers.has('contact')) {
      headers.push(['Contact', dialog?.localContact ?? ownContact(flow)]);
    }
    const type = contentType(message);
    if (type !== undefined && !message.headers.has('content-type')) headers.push(['Content-Type', type]);
    const given = parseNameAddr(message.headers.get('to') ?? '')?.params.get('tag');
    const toTag = dialog?.localTag ?? given ?? localTag;
    const response = buildResponse(request, status, {
      reason: message.reason,
      toTag,
      headers,
      body: message.body,
    });
    if (status >= 200 && status < 300) this.#sessionTimers.complete(request, response);
    return response;
  }

  #finish(pending: PendingRequest, response: SipResponse): void {
    const { transaction, dialog, inside } = pending;
    const { request } = transaction;
    this.#pending.remove(pending);
    const accepted = response.status < 300;
    if (request.method === 'INVITE' && !inside) {
      if (accepted) reportCdr(this.#context, 'cdr:start', 'application', response, 'uas');
      else reportCdr(this.#context, 'cdr:stop', 'application', response, 'call-rejected');
    }
    if (!dialog) return;
    if (request.method === 'PRACK') this.#pending.inviteOf(dialog)?.reliable?.release();
    if (!accepted && !inside) endDialog(this.#context, dialog);
    if (inside && endsDialog(dialog, request)) endDialog(this.#context, dialog);
  }

  #accepted({ transaction, dialog }: PendingRequest, response: SipResponse): void {
    const record = dialog && this.#context.records.get(dialog.id);
    if (!record) return;
    const { request } = transaction;
    dialog.state = 'confirmed';
    if (refreshesTarget(request.method)) dialog.refreshTarget(request);
    this.#sessionTimers.settledAsServer(record, request, response);
    this.#subscriptions.settled(record, request, response);
    if (request.method === 'INVITE') {
      if (response.body.length > 0) dialog.localSdp = response.body;
      this.awaitAck(record, transaction, response);
    }
    this.#context.dialogChanged(dialog.id);
  }

  /** Repeats a 2xx to an INVITE until its ACK, and ends the call without one. */
  awaitAck(record: DialogRecord, transaction: ServerTransaction, response: SipResponse): void {
    const { dialog } = record;
    record.answer?.stop();
    record.answer = new Unacknowledged2xx(
      transaction.essentials.cseq.number,
      response,
      () => transaction.respond(response),
      () => {
        this.#context.log.warn({ callId: dialog.callId }, 'no ACK for a 2xx');
        this.#hangUp(dialog, 'ACK timeout');
      },
    );
  }
}

function whyUnknown(message: AppMessage): string {
  return /CANCEL\s*$/.test(message.headers.get('cseq') ?? '')
    ? '200 OK to incoming CANCEL is automatically generated by the stack'
    : 'Response not sent due to unknown transaction';
}

function wantsReliable({ status, headers }: AppMessage): boolean {
  return status > 100 && status < 200 && /\b100rel\b/.test(headers.all('require').join(','));
}

function supportsReliable({ method, headers }: SipRequest): boolean {
  const listed = [...headers.all('supported'), ...headers.all('require')].join(',');
  return method === 'INVITE' && /\b100rel\b/.test(listed);
}

function makesDialog({ transaction, inside }: PendingRequest): boolean {
  return !inside && (transaction.request.method === 'INVITE' || transaction.request.method === 'SUBSCRIBE');
}

function carriesContact(method: string, status: number): boolean {
  const targets = method === 'INVITE' || method === 'SUBSCRIBE' || method === 'UPDATE' || method === 'REFER';
  return targets && status > 100 && status < 300;
}

function refreshesTarget(method: string): boolean {
  return method === 'INVITE' || method === 'UPDATE' || method === 'SUBSCRIBE' || method === 'NOTIFY';
}

/** The response to a request outside dialogs that no application asked for (RFC 3261 section 8.2.1). */
export function refusalOf(
  request: SipRequest,
  toTag: string,
  routes: Routes,
  overloaded: boolean,
): SipResponse {
  const { method } = request;
  const allow = ['Allow', allowed(routes)] as const;
  if (!METHODS.includes(method))
    return buildResponse(request, 501, { toTag, why: 'unknown method', headers: [allow] });
  if (overloaded)
    return buildResponse(request, 503, { toTag, why: 'too many calls', headers: [['Retry-After', '10']] });
  if (method === 'OPTIONS') {
    // Section 8.2.2.3: the server itself supports no extension in an OPTIONS that it answers.
    const required = request.headers.all('require').join(', ');
    if (required !== '')
      return buildResponse(request, 420, {
        toTag,
        why: 'extension not supported',
        headers: [['Unsupported', required]],
      });
    return buildResponse(request, 200, { toTag, headers: [allow, ['Accept', 'application/sdp']] });
  }
  if (method === 'BYE' || method === 'UPDATE' || method === 'PRACK') {
    return buildResponse(request, 481, { toTag, why: NO_CALL });
  }
  if (routes.methods.length > 0)
    return buildResponse(request, 405, {
      toTag,
      why: 'no application handles this method',
      headers: [allow],
    });
  return buildResponse(request, 503, {
    toTag,
    why: 'no application is connected',
    headers: [['Retry-After', '5']],
  });
}

function allowed(routes: Routes): string {
  const always = ['ACK', 'BYE', 'CANCEL', 'OPTIONS'];
  return [...new Set([...routes.methods, ...always])].join(', ');
}
