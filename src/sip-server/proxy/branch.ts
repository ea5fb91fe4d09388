import type { SipRequest, SipResponse } from '../message/message.js';
import {
  Cancellation,
  type ClientFailure,
  InviteClientTransaction,
} from '../transaction/client-transaction.js';
import { Timers } from '../transaction/timing.js';
import { locallyGeneratedResponse, type Transactions } from '../transaction/transactions.js';
import type { Flow } from '../transport/flow.js';
import type { Transports } from '../transport/transports.js';
import { findFlow } from '../transport/locate.js';

/** Timer C (RFC 3261 section 16.6): how long a target may ring. */
const RINGING_MS = 180_000;

/** What a branch sends, and where to. */
export interface BranchPlan {
  /** The URI whose host the request is sent to. */
  readonly nextHop: string;
  /** The request, without our Via. `finish` adds the headers that depend on the flow. */
  readonly request: SipRequest;
  readonly finish: (request: SipRequest, flow: Flow) => void;
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
}

/** Callbacks of a branch. */
interface BranchHandlers {
  /** The request has been sent. */
  sent(request: SipRequest): void;
  /** A provisional response other than 100. */
  provisional(response: SipResponse): void;
  /** Its final response. After a locally generated one, or after a 2xx, another 2xx may follow. */
  final(response: SipResponse, flow: Flow | undefined): void;
}

/** One target of a proxied request (RFC 3261 section 16.6). */
export class Branch {
  readonly #transports: Transports;
  readonly #transactions: Transactions;
  readonly #plan: BranchPlan;
  readonly #handlers: BranchHandlers;
  readonly #timers = new Timers<'C' | 'provisional' | 'final'>();
  #state: 'waiting' | 'running' | 'over' = 'waiting';
  #cancellation: Cancellation | undefined;

  constructor(
    transports: Transports,
    transactions: Transactions,
    plan: BranchPlan,
    handlers: BranchHandlers,
  ) {
    this.#transports = transports;
    this.#transactions = transactions;
    this.#plan = plan;
    this.#handlers = handlers;
  }

  get state(): 'waiting' | 'running' | 'over' {
    return this.#state;
  }

  /** Sends the request. */
  start(): void {
    this.#state = 'running';
    const { nextHop, request } = this.#plan;
    findFlow(this.#transports, nextHop, request, (flow) => {
      // `stop` was called during the DNS lookup.
      if (this.#state === 'over') return;
      if (flow instanceof Error) this.#end(locallyGeneratedResponse(request, 'transport'), undefined);
      else this.#send(flow);
    });
  }

  /** Cancels it. A branch that has sent its request ends with the target's response to the CANCEL. */
  cancel(): void {
    if (this.#state === 'waiting') this.#state = 'over';
    else this.#cancellation?.cancel([]);
  }

  /** Ends it without sending anything. */
  stop(): void {
    this.#state = 'over';
    this.#timers.clearAll();
  }

  #send(flow: Flow): void {
    const { request, finish, provisionalMs, finalMs } = this.#plan;
    finish(request, flow);
    const transaction = this.#transactions.send(request, flow, {
      response: (response) => this.#onResponse(response, flow),
      failed: (failure) => this.#giveUp(failure),
    });
    if (transaction instanceof InviteClientTransaction) {
      this.#cancellation = new Cancellation(this.#transactions, transaction);
    }
    if (provisionalMs !== undefined) this.#limit('provisional', provisionalMs);
    if (finalMs !== undefined) this.#limit('final', finalMs);
    this.#handlers.sent(request);
  }

  #onResponse(response: SipResponse, flow: Flow): void {
    if (response.status >= 200) {
      // Forward a late 2xx as well: the target believes that it is in a call.
      if (this.#state === 'running' || response.status < 300) this.#end(response, flow);
      return;
    }
    this.#cancellation?.provisionalReceived();
    if (this.#state === 'over') return;
    this.#timers.clear('provisional');
    if (response.status === 100) return;
    if (this.#cancellation) this.#limit('C', RINGING_MS);
    this.#handlers.provisional(response);
  }

  #limit(timer: 'C' | 'provisional' | 'final', ms: number): void {
    this.#timers.set(timer, ms, () => {
      this.#cancellation?.cancel([]);
      this.#giveUp('timeout');
    });
  }

  #giveUp(failure: ClientFailure): void {
    if (this.#state === 'running')
      this.#end(locallyGeneratedResponse(this.#plan.request, failure), undefined);
  }

  #end(response: SipResponse, flow: Flow | undefined): void {
    this.stop();
    this.#handlers.final(response, flow);
  }
}
