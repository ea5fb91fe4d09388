import type { SipRequest, SipResponse } from '../message/message.js';
import { parseNameAddrs } from '../message/uri.js';
import { buildResponse } from '../message/respond.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import type { Transactions } from '../transaction/transactions.js';
import type { Flow } from '../transport/flow.js';
import type { Transports } from '../transport/transports.js';
import { Branch, type BranchPlan } from './branch.js';
import { forwardedResponse } from './forward.js';

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
