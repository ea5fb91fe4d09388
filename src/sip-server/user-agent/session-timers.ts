import { randomInt } from 'node:crypto';
import { type Dialog, findDialogFlow } from '../dialog/dialog.js';
import {
  readSessionExpires,
  type SessionInterval,
  SessionTimer,
  supportsTimer,
} from '../dialog/session-timer.js';
import type { SavedDialog } from '../dialog/saved-dialog.js';
import type { Headers } from '../message/headers.js';
import { readNumber } from '../message/grammar.js';
import type { SipMessage, SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import type { Flow } from '../transport/flow.js';
import { type DialogRecord, endDialog, type UserAgentContext } from './context.js';
import { TRANSACTION_TIMEOUT, Timers } from '../transaction/timing.js';

/** How long a subscription lasts if neither side says. */
const DEFAULT_SECONDS = 3600;

/** Longer ones are cut to this: a timer cannot run for more than 24 days. */
const MAX_SECONDS = 2_000_000;

/**
 * Session timers (RFC 4028), run on behalf of applications, as drachtio-server does. An application may set
 * Session-Expires in what it sends, or leave that to the server.
 */
export class SessionTimers {
  readonly #context: UserAgentContext;
  readonly #hangUp: (dialog: Dialog, why: string) => void;
  /** Shortest session interval accepted, in seconds. */
  readonly #least: number;

  constructor(context: UserAgentContext, hangUp: (dialog: Dialog, why: string) => void) {
    this.#context = context;
    this.#hangUp = hangUp;
    this.#least = context.minSessionSeconds;
  }

  /** The 422 for a session interval below the minimum; undefined when there is no reason for one. */
  refusal(request: SipRequest, toTag: string): SipResponse | undefined {
    if (request.method !== 'INVITE' && request.method !== 'UPDATE') return undefined;
    const asked = readSessionExpires(request.headers);
    if (!asked || asked.seconds >= this.#least || !supportsTimer(request.headers)) return undefined;
    const headers = [['Min-SE', String(this.#least)]] as const;
    return buildResponse(request, 422, { toTag, why: 'session interval too small', headers });
  }

  /** Adds Session-Expires to an application's 2xx if the caller asked for a timer and the application left it out. */
  complete(request: SipRequest, response: SipResponse): void {
    if (!changesSession(request.method) || response.headers.has('session-expires')) return;
    const asked = readSessionExpires(request.headers);
    if (!asked) return;
    const supported = supportsTimer(request.headers);
    const refresher = supported ? (asked.refresher ?? 'uac') : 'uas';
    const seconds = Math.max(asked.seconds, this.#least);
    response.headers.add('Session-Expires', `${seconds};refresher=${refresher}`);
    if (supported && refresher === 'uac' && !/timer/i.test(response.headers.get('require') ?? '')) {
      response.headers.add('Require', 'timer');
    }
  }

  /** We sent a 2xx to the peer's INVITE or UPDATE. */
  settledAsServer(record: DialogRecord, request: SipRequest, response: SipResponse): void {
    if (!changesSession(request.method)) return;
    const agreed = readSessionExpires(response.headers);
    this.#run(record, agreed && { seconds: agreed.seconds, refreshedByUs: agreed.refresher === 'uas' });
  }

  /** The peer sent a 2xx to our INVITE or UPDATE. */
  settledAsClient(record: DialogRecord, request: SipRequest, response: SipResponse): void {
    if (!changesSession(request.method)) return;
    const agreed = readSessionExpires(response.headers);
    this.#run(record, agreed && { seconds: agreed.seconds, refreshedByUs: agreed.refresher !== 'uas' });
  }

  /** Adds Session-Expires to an application's request that lacks it, so that the timer keeps running. */
  offer(record: DialogRecord, request: SipRequest): void {
    const terms = record.session?.terms;
    if (!terms || !changesSession(request.method) || request.headers.has('session-expires')) return;
    addTerms(request.headers, terms, this.#least);
  }

  /** Goes on with the timer of a restored dialog. */
  restore(record: DialogRecord, { since, ...terms }: NonNullable<SavedDialog['session']>): void {
    // Clocks may be set back.
    record.session = this.#timer(record, terms, Math.max(0, Date.now() - since));
  }

  #run(record: DialogRecord, terms: SessionInterval | undefined): void {
    record.session?.stop();
    record.session = terms && this.#timer(record, terms);
  }

  #timer(record: DialogRecord, terms: SessionInterval, elapsed?: number): SessionTimer {
    const expired = (): void => this.#hangUp(record.dialog, 'Session timer expired');
    return new SessionTimer(terms, () => this.#refresh(record, terms), expired, elapsed);
  }

  /**
   * Refreshes by UPDATE if the peer allows it, since that needs no SDP; otherwise by a re-INVITE with our last SDP.
   */
  #refresh(record: DialogRecord, terms: SessionInterval): void {
    const { dialog } = record;
    if (dialog.state === 'ended') return;
    if (record.inviting || !this.#context.mayAct()) {
      this.#later(record, terms);
      return;
    }
    const method = record.peerAllowsUpdate ? 'UPDATE' : 'INVITE';
    const request = dialog.request(method);
    addTerms(request.headers, terms, this.#least);
    request.headers.add('Contact', dialog.localContact);
    const full = method === 'INVITE' ? { ...request, body: dialog.localSdp } : request;
    if (full.body.length > 0) full.headers.add('Content-Type', 'application/sdp');
    findDialogFlow(this.#context.transports, dialog, full, (flow) => {
      // If the peer cannot be reached, the session expires.
      if (!(flow instanceof Error)) this.#sendRefresh(record, terms, full, flow);
    });
  }

  #sendRefresh(record: DialogRecord, terms: SessionInterval, request: SipRequest, flow: Flow): void {
    record.inviting = request.method === 'INVITE';
    this.#context.dialogChanged(record.dialog.id);
    this.#context.transactions.send(request, flow, {
      response: (response) => {
        if (response.status < 200) return;
        record.inviting = false;
        this.#refreshed(record, terms, request, response, flow);
      },
      failed: () => {
        record.inviting = false;
        this.#hangUp(record.dialog, 'Session timer expired');
      },
    });
  }

  #refreshed(
    record: DialogRecord,
    terms: SessionInterval,
    request: SipRequest,
    response: SipResponse,
    flow: Flow,
  ): void {
    const { dialog } = record;
    const { status } = response;
    if (status < 300) {
      dialog.refreshTarget(response);
      if (request.method === 'INVITE') this.#acknowledge(record, flow);
      this.settledAsClient(record, request, response);
      this.#context.dialogChanged(dialog.id);
    } else if (status === 481 || status === 408) this.#hangUp(dialog, 'Session timer expired');
    else if (status === 422) {
      const seconds = readNumber(response.headers.get('min-se') ?? '', 86_400) ?? 0;
      // Retry only for a larger interval: otherwise the peer could answer 422 for ever.
      if (seconds > terms.seconds) this.#refresh(record, { ...terms, seconds });
    } else if (status === 491) this.#later(record, terms);
    else if (status === 405 || status === 501) {
      record.peerAllowsUpdate = false;
      if (request.method === 'UPDATE') this.#refresh(record, terms);
    }
  }

  #acknowledge(record: DialogRecord, flow: Flow): void {
    const sequence = record.dialog.unacknowledged;
    if (record.ack?.sequence === sequence) {
      this.#context.transactions.resendWithoutTransaction(record.ack.request, record.ack.flow);
      return;
    }
    const ack = record.dialog.request('ACK', sequence);
    this.#context.transactions.sendWithoutTransaction(ack, flow);
    record.ack = { sequence, request: ack, flow };
  }

  /** Glare: retry after a random time, which depends on who owns the Call-ID (RFC 3261 section 14.1). */
  #later(record: DialogRecord, terms: SessionInterval): void {
    const wait = record.dialog.role === 'uac' ? randomInt(2100, 4000) : randomInt(0, 2000);
    setTimeout(() => this.#refresh(record, terms), wait).unref();
  }
}

function addTerms(headers: Headers, { seconds, refreshedByUs }: SessionInterval, least: number): void {
  headers.add('Session-Expires', `${seconds};refresher=${refreshedByUs ? 'uac' : 'uas'}`);
  headers.add('Min-SE', String(least));
  headers.add('Supported', 'timer');
}

function changesSession(method: string): boolean {
  return method === 'INVITE' || method === 'UPDATE';
}

/** Ends the dialogs of subscriptions that expire without a last NOTIFY (RFC 6665 section 4.1.2). */
export class Subscriptions {
  readonly #context: UserAgentContext;

  constructor(context: UserAgentContext) {
    this.#context = context;
  }

  /** A request was accepted in a subscription's dialog, or created it. */
  settled(record: DialogRecord, request: SipRequest, response: SipResponse): void {
    if (record.dialog.method !== 'SUBSCRIBE') return;
    if (request.method === 'SUBSCRIBE') {
      this.#lastFor(record, expiresOf(response) ?? expiresOf(request) ?? DEFAULT_SECONDS);
    } else if (request.method === 'NOTIFY') {
      const left = /;\s*expires\s*=\s*(\d+)/i.exec(request.headers.get('subscription-state') ?? '')?.[1];
      const seconds = left === undefined ? undefined : readNumber(left, 2 ** 32 - 1);
      if (seconds !== undefined) this.#lastFor(record, seconds);
    }
  }

  /** Waits one transaction timeout longer for the last NOTIFY. */
  #lastFor(record: DialogRecord, seconds: number): void {
    const { dialog } = record;
    if (dialog.state === 'ended') return;
    record.expiry ??= new Timers();
    record.expiry.set('expired', Math.min(seconds, MAX_SECONDS) * 1000 + TRANSACTION_TIMEOUT, () => {
      this.#context.log.debug({ callId: dialog.callId }, 'a subscription expired without a last NOTIFY');
      endDialog(this.#context, dialog);
    });
  }
}

function expiresOf(message: SipMessage): number | undefined {
  return readNumber(message.headers.get('expires') ?? '', 2 ** 32 - 1);
}
