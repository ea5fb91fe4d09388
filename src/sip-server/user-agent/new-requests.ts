import { type App, reportCdr } from '../apps/app.js';
import type { AppMessage } from '../apps/wire.js';
import { inviteView } from '../defence/request-view.js';
import { Headers } from '../message/headers.js';
import { NO_BODY, type SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import { parseSipUri } from '../message/uri.js';
import type { Proxy } from '../proxy/proxy.js';
import type { NewRequest, RoutingDecision } from '../routing/decision.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import type { UserAgentContext } from './context.js';
import { refusalOf } from './responses.js';

/** Requests outside dialogs: gets a decision on each, and carries it out. */
export class NewRequests {
  readonly #context: UserAgentContext;
  readonly #proxy: Proxy;
  readonly #hand: (transaction: ServerTransaction, app: App) => void;
  /** Requests for which the router has not decided yet. */
  readonly #waiting = new Set<ServerTransaction>();

  /** `hand` passes a request to an application. */
  constructor(
    context: UserAgentContext,
    proxy: Proxy,
    hand: (transaction: ServerTransaction, app: App) => void,
  ) {
    this.#context = context;
    this.#proxy = proxy;
    this.#hand = hand;
  }

  take(transaction: ServerTransaction): void {
    const { request, localTag } = transaction;
    const { routes, dialogs, counters } = this.#context;
    const isInvite = request.method === 'INVITE';
    const full = isInvite && dialogs.full;
    if (isInvite) reportCdr(this.#context, 'cdr:attempt', 'network', request);
    if (full) {
      counters.droppedDialogs++;
      this.#context.onNoRoom?.(inviteView(request, transaction.flow));
    }
    if (full || !routes.wanted(request.method)) {
      this.#refuse(transaction, refusalOf(request, localTag, routes, full));
      return;
    }
    const decision = this.#context.decide(describe(transaction));
    if (decision instanceof Promise) void this.#wait(transaction, decision);
    else this.#follow(transaction, decision);
  }

  /** The caller cancelled an INVITE. Returns false if the router has already decided on it. */
  cancel(invite: ServerTransaction): boolean {
    if (!this.#waiting.delete(invite)) return false;
    const { request, localTag: toTag } = invite;
    this.#refuse(
      invite,
      buildResponse(request, 487, { toTag, why: 'cancelled by the caller' }),
      'call-canceled',
    );
    return true;
  }

  /** Drops the requests that wait. */
  stop(): void {
    this.#waiting.clear();
  }

  async #wait(transaction: ServerTransaction, decision: Promise<RoutingDecision>): Promise<void> {
    this.#waiting.add(transaction);
    // The router has logged the error itself.
    const decided = await decision.catch(() => undefined);
    if (!this.#waiting.delete(transaction) || transaction.finished) return;
    if (decided) {
      this.#follow(transaction, decided);
      return;
    }
    this.#context.counters.droppedUnrouted++;
    const headers = [['Retry-After', '5']] as const;
    const { request, localTag: toTag } = transaction;
    this.#refuse(
      transaction,
      buildResponse(request, 503, { toTag, why: 'the router made no decision', headers }),
    );
  }

  #follow(transaction: ServerTransaction, decision: RoutingDecision): void {
    const { request, localTag: toTag } = transaction;
    switch (decision.action) {
      case 'route':
        this.#route(transaction, decision.tag);
        return;
      case 'reject': {
        const { status, reason } = decision;
        this.#refuse(transaction, buildResponse(request, status, { toTag, reason }));
        return;
      }
      case 'redirect': {
        const headers = decision.contacts.map((contact) => ['Contact', contact] as const);
        this.#refuse(transaction, buildResponse(request, 302, { toTag, headers }));
        return;
      }
      case 'proxy':
        this.#proxy.forward(transaction, decision.options, NOTHING_TO_ADD);
    }
  }

  #route(transaction: ServerTransaction, tag: string | undefined): void {
    const { request, localTag: toTag } = transaction;
    const { routes, homeTag } = this.#context;
    const { method } = request;
    const ours = tag === undefined && homeTag !== undefined ? routes.pick(method, homeTag) : undefined;
    const app = ours ?? routes.pick(method, tag);
    if (app) this.#hand(transaction, app);
    else
      this.#refuse(
        transaction,
        buildResponse(request, 480, { toTag, why: 'no application with this tag is connected' }),
      );
  }

  #refuse(transaction: ServerTransaction, response: SipResponse, why = 'call-rejected'): void {
    transaction.respond(response);
    this.#context.refusals.tell(transaction.request, response, transaction.flow);
    if (transaction.request.method === 'INVITE') {
      reportCdr(this.#context, 'cdr:stop', 'application', response, why);
    }
  }
}

const NOTHING_TO_ADD: AppMessage = {
  method: '',
  uri: '',
  status: 0,
  reason: '',
  headers: new Headers(),
  body: NO_BODY,
};

function describe({ request, essentials, flow }: ServerTransaction): NewRequest {
  return {
    method: request.method,
    uri: request.uri,
    protocol: flow.transport,
    source: flow.remote,
    fromUser: parseSipUri(essentials.from.uri)?.user ?? '',
    toUser: parseSipUri(essentials.to.uri)?.user ?? '',
    header: (name) => request.headers.get(name.toLowerCase()),
  };
}
