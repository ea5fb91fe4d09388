import type { ProxyContext } from '../proxy/proxy.js';
import type { Application } from '../apps/app.js';
import type { Unacknowledged2xx } from '../dialog/retransmissions.js';
import type { Dialog, Dialogs } from '../dialog/dialog.js';
import type { SavedDialog } from '../dialog/saved-dialog.js';
import type { SessionTimer } from '../dialog/session-timer.js';
import type { InviteView } from '../defence/request-view.js';
import { encodeMessage, type SipMessage, type SipRequest, type SipResponse } from '../message/message.js';
import type { Timers } from '../transaction/timing.js';
import type { RequestRouter } from '../routing/decision.js';
import type { Flow } from '../transport/flow.js';
import { type Log, TokenBucket } from '../../shared/index.js';
import type { SipCounters } from '../counters.js';

/** What the server keeps of a dialog besides its protocol state. */
export interface DialogRecord {
  readonly dialog: Dialog;
  app: Application;
  /** Our 2xx, while its ACK has not come. */
  answer: Unacknowledged2xx | undefined;
  /** The last ACK that we sent. It is repeated when the 2xx is. */
  ack: { readonly sequence: number; readonly request: SipRequest; readonly flow: Flow } | undefined;
  session: SessionTimer | undefined;
  /** When a subscription expires. */
  expiry: Timers<'expired'> | undefined;
  /** Whether a re-INVITE of ours is in progress. */
  inviting: boolean;
  /** Whether the peer's Allow lists UPDATE. */
  peerAllowsUpdate: boolean;
  /** Our INVITE was cancelled too late: acknowledge its 2xx, then send BYE. */
  byeAfterAck: boolean;
}

/** What the parts of the user agent share: what the proxy uses, and more. */
export interface UserAgentContext extends ProxyContext {
  readonly dialogs: Dialogs;
  readonly records: Map<string, DialogRecord>;
  /** Shortest session interval that is accepted, in seconds. */
  readonly minSessionSeconds: number;
  /** Whether requests may be sent in dialogs now: another server may have taken them over. */
  readonly mayAct: () => boolean;
  /** Decides what happens to a new request. */
  readonly decide: RequestRouter;
  /** Where no tag is asked for, applications with this tag come before the others. */
  readonly homeTag: string | undefined;
  /** To be called after each change of a dialog that {@link savedDialog} shows, and before the 2xx that confirms it. */
  readonly dialogChanged: (dialogId: string) => void;
  /** Told of each request that the server refuses by itself. */
  readonly refusals: Refusals;
  /** Told of each INVITE that got 503 because there was no room for it. */
  readonly onNoRoom: ((invite: InviteView) => void) | undefined;
}

/** A new dialog's record. */
export function recordOf(dialog: Dialog, app: Application): DialogRecord {
  return {
    dialog,
    app,
    answer: undefined,
    ack: undefined,
    session: undefined,
    expiry: undefined,
    inviting: false,
    peerAllowsUpdate: false,
    byeAfterAck: false,
  };
}

/** What another process needs to go on with a dialog; undefined for one that is not confirmed or no INVITE's. */
export function savedDialog({
  dialog,
  app,
  answer,
  session,
  peerAllowsUpdate,
}: DialogRecord): SavedDialog | undefined {
  if (dialog.method !== 'INVITE' || dialog.state !== 'confirmed') return undefined;
  return {
    ...dialog.save(),
    tags: [...app.tags],
    peerAllowsUpdate,
    ...(session && { session: { ...session.terms, since: session.since } }),
    ...(answer && { unacknowledged: savedAnswer(dialog, answer) }),
  };
}

function savedAnswer(
  dialog: Dialog,
  { sequence, response }: Unacknowledged2xx,
): NonNullable<SavedDialog['unacknowledged']> {
  const text = encodeMessage(response).toString('latin1');
  const hasSdp = response.body.length > 0 && response.body.equals(dialog.localSdp);
  return { sequence, head: hasSdp ? text.slice(0, -response.body.length) : text, hasSdp };
}

/** Notes from a message of the peer whether it allows UPDATE. */
export function noteAllow(record: DialogRecord, message: SipMessage): void {
  const allow = message.headers.all('allow').join(',');
  if (allow !== '') record.peerAllowsUpdate = /\bUPDATE\b/.test(allow);
}

/** Whether a request ends its dialog once it has a final response. */
export function endsDialog(dialog: Dialog, request: SipRequest): boolean {
  if (request.method === 'BYE') return true;
  // The last NOTIFY of a subscription (RFC 6665 section 4.4.1).
  const state = request.headers.get('subscription-state') ?? '';
  return dialog.method === 'SUBSCRIBE' && request.method === 'NOTIFY' && /^\s*terminated\b/i.test(state);
}

/** Removes a dialog and stops its timers. */
export function endDialog(context: UserAgentContext, dialog: Dialog): void {
  const record = context.records.get(dialog.id);
  record?.answer?.stop();
  record?.session?.stop();
  record?.expiry?.clearAll();
  context.records.delete(dialog.id);
  context.dialogs.remove(dialog);
}

/** So many refusals are logged: anybody can send requests that are refused. The counters have all of them. */
const LOGGED = { perSecond: 20, burst: 100 };

/** Counts and logs the requests that the server refuses by itself, without an application. */
export class Refusals {
  readonly #counters: SipCounters;
  readonly #log: Log;
  readonly #lines = new TokenBucket(LOGGED, performance.now());

  constructor(counters: SipCounters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  /** Does nothing for a response that is no refusal, nor for 487: the caller cancelled. */
  tell(request: SipRequest, { status, headers }: SipResponse, flow: Pick<Flow, 'remote'>): void {
    if (status < 400 || status === 487) return;
    this.#counters[counterOf(status)]++;
    if (!this.#lines.take(performance.now())) return;
    const fields = {
      callId: request.headers.get('call-id'),
      method: request.method,
      status,
      reason: headers.get('reason'),
      peer: flow.remote.host,
    };
    this.#log.info(fields, 'a request was refused');
  }
}

function counterOf(
  status: number,
): 'refusedMethod' | 'refusedInterval' | 'refusedUnknownCall' | 'refusedOther' {
  switch (status) {
    case 405:
    case 501:
      return 'refusedMethod';
    case 422:
      return 'refusedInterval';
    case 481:
      return 'refusedUnknownCall';
    default:
      return 'refusedOther';
  }
}
