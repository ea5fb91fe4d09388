import type { App, Routes } from '../apps/app.js';
import { cdrFrame, type MessageMeta } from '../apps/wire.js';
import type { SipCounters } from '../counters.js';
import type { AcknowledgedAnswer } from '../dialog/reliable-provisionals.js';
import type { Dialog, Dialogs } from '../dialog/dialog.js';
import type { SessionTimer } from '../dialog/session-timer.js';
import type { SipMessage, SipRequest, SipResponse } from '../message/message.js';
import type { Timers } from '../transaction/timing.js';
import type { RequestRouter } from '../routing/decision.js';
import { newTag, type Transactions } from '../transaction/transactions.js';
import type { Flow } from '../transport/flow.js';
import type { Sender } from '../transport/udp.js';
import type { Transports } from '../transport/transports.js';
import { buildResponse } from '../message/respond.js';
import type { ClientFailure } from '../transaction/client-transaction.js';
import type { Log } from '../../shared/index.js';

/** What this server keeps of a dialog besides its protocol state. */
export interface DialogRecord {
  readonly dialog: Dialog;
  app: App;
  /** Our 2xx that waits for its ACK. */
  answer: AcknowledgedAnswer | undefined;
  /** The ACK that we sent last, to be repeated when its 2xx is. */
  ack: { readonly sequence: number; readonly request: SipRequest; readonly flow: Flow } | undefined;
  session: SessionTimer | undefined;
  /** The end of a subscription. */
  expiry: Timers<'expired'> | undefined;
  /** Whether a re-INVITE of ours is under way. */
  inviting: boolean;
  /** Whether the peer's Allow lists UPDATE. */
  peerAllowsUpdate: boolean;
  /** An INVITE of ours was cancelled, so that its 2xx is acknowledged and then hung up. */
  hangUpAfterAck: boolean;
}

/** What the parts of the user agent share. */
export interface UserAgentContext {
  readonly transports: Transports;
  readonly transactions: Transactions;
  readonly sender: Sender;
  readonly dialogs: Dialogs;
  readonly records: Map<string, DialogRecord>;
  readonly routes: Routes;
  /** Shortest session interval that is agreed on. */
  readonly minSessionSeconds: number;
  /** Decides what becomes of a new request. */
  readonly decide: RequestRouter;
  /** Applications with this tag come before others where none is asked for. */
  readonly homeTag: string | undefined;
  readonly counters: SipCounters;
  /** Hides the tokens in a message's text. */
  readonly mask: (text: string) => string;
  readonly log: Log;
}

/** Tells whoever asked for call records of a call's attempt, start or end. */
export function reportCdr(
  context: Pick<UserAgentContext, 'routes' | 'mask'>,
  kind: 'cdr:attempt' | 'cdr:start' | 'cdr:stop',
  source: 'network' | 'application',
  message: SipMessage,
  detail?: string,
): void {
  context.routes.pick(kind)?.send(cdrFrame(kind, source, detail, message, context.mask));
}

/** A new dialog's record. */
export function recordOf(dialog: Dialog, app: App): DialogRecord {
  return {
    dialog,
    app,
    answer: undefined,
    ack: undefined,
    session: undefined,
    expiry: undefined,
    inviting: false,
    peerAllowsUpdate: false,
    hangUpAfterAck: false,
  };
}

/** Notes what a message of the peer's says that it takes. */
export function noteAllow(record: DialogRecord, message: SipMessage): void {
  const allow = message.headers.all('allow').join(',');
  if (allow !== '') record.peerAllowsUpdate = /\bUPDATE\b/.test(allow);
}

/** Whether a request, once it has its final answer, ends the dialog that it belongs to. */
export function endsDialog(dialog: Dialog, request: SipRequest): boolean {
  if (request.method === 'BYE') return true;
  // The last NOTIFY of a subscription (RFC 6665 section 4.4.1).
  const state = request.headers.get('subscription-state') ?? '';
  return dialog.method === 'SUBSCRIBE' && request.method === 'NOTIFY' && /^\s*terminated\b/i.test(state);
}

/** Forgets a dialog and all that belongs to it. */
export function endDialog(context: UserAgentContext, dialog: Dialog): void {
  const record = context.records.get(dialog.id);
  record?.answer?.stop();
  record?.session?.stop();
  record?.expiry?.clearAll();
  context.records.delete(dialog.id);
  context.dialogs.remove(dialog);
}

/** The response that an application gets when the peer sent none (RFC 3261 section 8.1.3.1). */
export function inPlaceOf(request: SipRequest, failure: ClientFailure): SipResponse {
  return buildResponse(request, failure === 'timeout' ? 408 : 503, { toTag: newTag() });
}

/** How an application is told where a message came from. */
export function network(flow: Flow): MessageMeta {
  return { source: 'network', transport: flow.transport, remote: flow.remote };
}

/** How an application is told where a message of its own went. */
export function sentTo(flow: Flow): MessageMeta {
  return { source: 'application', transport: flow.transport, remote: flow.remote };
}
