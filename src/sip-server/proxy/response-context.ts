import type { SipRequest, SipResponse } from '../message/message.js';
import { parseNameAddrs } from '../message/uri.js';
import { buildResponse } from '../message/respond.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import { locallyGeneratedResponse, type Transactions } from '../transaction/transactions.js';
import type { Flow } from '../transport/flow.js';
import type { Transports } from '../transport/transports.js';
import { forwardedResponse } from './forward.js';
import {
  Cancellation,
  type ClientFailure,
  InviteClientTransaction,
} from '../transaction/client-transaction.js';
import { Timers } from '../transaction/timing.js';
import { findFlow } from '../transport/locate.js';

/** Statuses that the caller can act on: preferred over others of their class. */
const PREFERRED = [401, 407, 415, 420, 484];

/** Limits targets that redirect endlessly. */
const MAX_BRANCHES = 32;

/** How a request is forked. */
export interface ForkingPlan {
  readonly simultaneous: boolean;
  readonly followRedirects: boolean;
  readonly targets: readonly string[];
  /** What is sent to a target; `redirected` if another target named it in a 3xx. */
  branch(target: string, redirected: boolean): BranchPlan;
}

/** Callbacks of a response context. */
export interface ResponseContextHandlers {
  sent(request: SipRequest): void;
  /** A target's final response; without a flow if it was generated locally. */
  answered(response: SipResponse, flow: Flow | undefined): void;
  /** A response was sent to the caller. */
  returned(response: SipResponse): void;
  /** Only 2xx responses of other targets may still come. */
  done(): void;
}

/**
 * One proxied request with all its branches: forks it and chooses the response for the caller (RFC 3261 section
 * 16.7).
 */
export class ResponseContext {
  readonly #transports: Transports;
  readonly #transactions: Transactions;
  readonly #transaction: ServerTransaction;
  readonly #plan: ForkingPlan;
  readonly #handlers: ResponseContextHandlers;
  readonly #branches: Branch[] = [];
  readonly #tried = new Set<string>();
  readonly #refusals: SipResponse[] = [];
  /** Those of them that were generated locally, for a target that did not respond. */
  readonly #locallyGenerated = new Set<SipResponse>();
  #forking = true;
  #cancelled = false;
  #done = false;

  constructor(
    transports: Transports,
    transactions: Transactions,
    transaction: ServerTransaction,
    plan: ForkingPlan,
    handlers: ResponseContextHandlers,
  ) {
    this.#transports = transports;
    this.#transactions = transactions;
    this.#transaction = transaction;
    this.#plan = plan;
    this.#handlers = handlers;
  }

  /** Sends the request to the first target, or to all of them. */
  start(): void {
    for (const target of this.#plan.targets) this.#add(target, false);
    this.#goOn();
  }

  /** The caller cancelled: the targets' responses to that decide what the caller gets (section 16.10). */
  cancel(): void {
    this.#cancelled = true;
    this.#stopForking();
    this.#goOn();
  }

  /** Ends every branch without sending anything. */
  stop(): void {
    this.#done = true;
    for (const branch of this.#branches) branch.stop();
  }

  #add(target: string, redirected: boolean): boolean {
    if (this.#tried.has(target) || this.#tried.size >= MAX_BRANCHES) return false;
    this.#tried.add(target);
    const branch = new Branch(this.#transports, this.#transactions, this.#plan.branch(target, redirected), {
      sent: (request) => this.#handlers.sent(request),
      provisional: (response) => this.#return(response),
      final: (response, flow) => this.#onFinal(response, flow),
    });
    this.#branches.push(branch);
    return true;
  }

  #onFinal(response: SipResponse, flow: Flow | undefined): void {
    this.#handlers.answered(response, flow);
    if (response.status < 300) {
      this.#return(response);
      this.#stopForking();
      this.#finish();
      return;
    }
    if (this.#done) return;
    if (!flow) this.#locallyGenerated.add(response);
    if (!this.#redirect(response)) this.#refusals.push(response);
    if (response.status >= 600) this.#stopForking();
    this.#goOn();
  }

  #redirect(response: SipResponse): boolean {
    if (!this.#plan.followRedirects || !this.#forking || response.status >= 400) return false;
    const contacts = parseNameAddrs(response.headers.all('contact')) ?? [];
    return contacts.map(({ uri }) => this.#add(uri, true)).includes(true);
  }

  #stopForking(): void {
    this.#forking = false;
    for (const branch of this.#branches) if (branch.state !== 'over') branch.cancel();
  }

  #goOn(): void {
    for (const branch of this.#branches) {
      const alone = this.#branches.every(({ state }) => state !== 'running');
      if (branch.state === 'waiting' && (this.#plan.simultaneous || alone)) branch.start();
    }
    if (this.#branches.every(({ state }) => state === 'over')) this.#giveUp();
  }

  #giveUp(): void {
    if (this.#done) return;
    const best = bestResponse(this.#refusals);
    if (!best || this.#locallyGenerated.has(best)) this.#answerFor(best?.status ?? 408);
    else if (best.status === 503) this.#answerFor(503);
    else this.#return(best);
    this.#finish();
  }

  #answerFor(status: number): void {
    if (this.#cancelled && status === 408) this.#answer(487, 'cancelled by the caller');
    // A 503 is about the target, not about this proxy (section 16.7, step 6).
    else if (status === 503) this.#answer(500, 'no target can be reached');
    // For other methods than INVITE, a 408 comes too late for the sender (RFC 4320 section 4.2).
    else if (this.#transaction.request.method === 'INVITE') this.#answer(status, 'no target answered');
  }

  #answer(status: number, why: string): void {
    const { request, localTag: toTag } = this.#transaction;
    const response = buildResponse(request, status, { toTag, why });
    if (this.#transaction.respond(response)) this.#handlers.returned(response);
  }

  #return(response: SipResponse): void {
    const back = forwardedResponse(response);
    if (this.#transaction.respond(back)) this.#handlers.returned(back);
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#handlers.done();
  }
}

/**
 * The final response for the caller when no target accepted (RFC 3261 section 16.7, steps 6 and 7): a 6xx, else one
 * of the lowest class. A 401 or 407 also carries the challenges of the other targets. Undefined when there is none.
 */
function bestResponse(responses: readonly SipResponse[]): SipResponse | undefined {
  const [best] = [...responses].sort((a, b) => rank(a.status) - rank(b.status));
  if (best?.status !== 401 && best?.status !== 407) return best;
  const headers = best.headers.copy();
  for (const response of responses) {
    if (response === best || (response.status !== 401 && response.status !== 407)) continue;
    for (const name of ['WWW-Authenticate', 'Proxy-Authenticate']) {
      for (const value of response.headers.all(name.toLowerCase())) headers.add(name, value);
    }
  }
  return { ...best, headers };
}

function rank(status: number): number {
  if (status >= 600) return 0;
  return Math.floor(status / 100) * 10 + (PREFERRED.includes(status) ? 0 : 1);
}

/** Timer C (RFC 3261 section 16.6): how long a target may ring. */
const RINGING_MS = 180_000;

/** What a branch sends, and where to. */
interface BranchPlan {
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
class Branch {
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
