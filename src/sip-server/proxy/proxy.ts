import { BoundedMap, type Log } from '../../shared/index.js';
import type { Transactions } from '../transaction/transactions.js';
import type { Sender } from '../transport/udp.js';
import type { Transports } from '../transport/transports.js';
import { type App, reportCdr, type Routes } from '../apps/app.js';
import type { SipCounters } from '../counters.js';
import { type AppMessage, fromNetwork, outcomeFrame, proxiedFrame, type ProxyOptions } from '../apps/wire.js';
import type { Essentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { parseNameAddr, parseSipUri } from '../message/uri.js';
import { buildResponse } from '../message/respond.js';
import type { ServerTransaction } from '../transaction/server-machine.js';
import type { Flow } from '../transport/flow.js';
import { appHeaders } from '../apps/compose.js';
import { addRecordRoute, forwardedRequest, hasNoHopsLeft, nextHopOf } from './forward.js';
import { type ForkingPlan, ResponseContext, type ResponseContextHandlers } from './response-context.js';
import { findFlow } from '../transport/locate.js';

/** Most callees of one (possibly forked) call that are told apart. */
const MAX_CALLEES = 64;

/** The parts of the server that the proxy uses. */
export interface ProxyContext {
  readonly transports: Transports;
  readonly transactions: Transactions;
  readonly sender: Sender;
  readonly routes: Routes;
  readonly counters: SipCounters;
  /** Hides the tokens in a message's text. */
  readonly mask: (text: string) => string;
  readonly log: Log;
}

/** The requests that wait for an application's decision. */
interface PendingTransactions {
  /** Removes a request and returns its transaction; undefined when it is unknown or already answered. */
  take(id: string): ServerTransaction | undefined;
}

/** Callbacks for whoever had a request proxied. */
interface ProxyHandlers {
  /** A target sent a final response. */
  answered(response: SipResponse, flow: Flow): void;
  done(): void;
}

/**
 * A stateful proxy (RFC 3261 section 16) for the requests that applications proxy, and for later requests of their
 * dialogs.
 */
export class Proxy {
  readonly #context: ProxyContext;
  readonly #pending: PendingTransactions;
  readonly #dialogs: ProxiedDialogs;
  readonly #running = new Map<ServerTransaction, ResponseContext>();

  /** `limit` is the most proxied dialogs that are remembered. */
  constructor(context: ProxyContext, pending: PendingTransactions, limit: number) {
    this.#context = context;
    this.#pending = pending;
    this.#dialogs = new ProxiedDialogs(limit, context.counters);
  }

  /** How many proxied dialogs are remembered. */
  get dialogCount(): number {
    return this.#dialogs.size;
  }

  /** An application has a request proxied. */
  proxyForApp(
    app: App,
    messageId: string,
    transactionId: string,
    options: ProxyOptions,
    message: AppMessage,
  ): void {
    const transaction = this.#pending.take(transactionId);
    if (!transaction) {
      app.send(outcomeFrame(messageId, false, `Unknown transaction id: ${transactionId}`));
      return;
    }
    const { fullResponse } = options;
    const problem = this.forward(transaction, options, message, {
      answered: (response, flow) => {
        if (fullResponse) app.send(proxiedFrame(messageId, response, fromNetwork(flow)));
      },
      done: () => {
        if (fullResponse) app.send(outcomeFrame(messageId, true, 'done'));
      },
    });
    if (problem !== undefined) app.send(outcomeFrame(messageId, false, problem));
    else if (!fullResponse) app.send(outcomeFrame(messageId, true, 'done'));
  }

  /**
   * Forwards a request with the headers of `message` added. If it is refused instead, returns why, in drachtio's
   * words.
   */
  forward(
    transaction: ServerTransaction,
    options: ProxyOptions,
    message: AppMessage,
    listener: ProxyHandlers = NOBODY,
  ): string | undefined {
    if (hasNoHopsLeft(transaction.request)) {
      this.#refuse(transaction, 483, 'Max-Forwards is 0');
      return 'Rejected with 483 Too Many Hops due to Max-Forwards value of 0';
    }
    if (!options.targets.some((target) => parseSipUri(target))) {
      this.#refuse(transaction, 500, 'no target');
      return 'error proxying request to ';
    }
    this.#run(
      transaction,
      this.#planFor(transaction, options, message),
      this.#handlersFor(listener, transaction, options),
    );
    return undefined;
  }

  /** Forwards a request of a proxied dialog. Returns false if it belongs to none. */
  takes(transaction: ServerTransaction): boolean {
    const { request, essentials, flow } = transaction;
    if (essentials.toTag === '' || !this.#dialogs.has(essentials)) return false;
    this.#context.sender.prove(flow);
    if (hasNoHopsLeft(request)) {
      this.#refuse(transaction, 483, 'Max-Forwards is 0');
      return true;
    }
    if (request.method === 'INVITE') transaction.respond(buildResponse(request, 100));
    if (request.method === 'BYE') reportCdr(this.#context, 'cdr:stop', 'network', request, 'normal-release');
    const onwards = forwardedRequest(request, this.#isOurs);
    const nextHop = nextHopOf(onwards);
    const plan: ForkingPlan = {
      simultaneous: false,
      followRedirects: false,
      targets: [nextHop],
      branch: () => ({
        nextHop,
        request: onwards,
        finish: ignore,
        provisionalMs: undefined,
        finalMs: undefined,
      }),
    };
    this.#run(transaction, plan, {
      sent: ignore,
      answered: ignore,
      returned: () => {
        if (request.method === 'BYE') this.#dialogs.remove(essentials);
      },
      done: ignore,
    });
    return true;
  }

  /** Forwards the ACK for a 2xx. Returns false if it belongs to no proxied dialog. */
  ack(request: SipRequest, essentials: Essentials, flow: Flow): boolean {
    if (!this.#dialogs.has(essentials)) return false;
    this.#context.sender.prove(flow);
    if (hasNoHopsLeft(request)) return true;
    const ack = forwardedRequest(request, this.#isOurs);
    findFlow(this.#context.transports, nextHopOf(ack), ack, (next) => {
      if (next instanceof Error)
        this.#context.log.debug(
          { callId: essentials.callId, error: next.message },
          'an ACK could not be forwarded',
        );
      else this.#context.transactions.sendWithoutTransaction(ack, next);
    });
    return true;
  }

  /** The caller cancelled an INVITE. Returns false if it is not proxied. */
  cancel(invite: ServerTransaction): boolean {
    const context = this.#running.get(invite);
    context?.cancel();
    return context !== undefined;
  }

  /** Ends everything without sending anything. */
  stop(): void {
    for (const context of this.#running.values()) context.stop();
    this.#running.clear();
  }

  #run(transaction: ServerTransaction, plan: ForkingPlan, handlers: ResponseContextHandlers): void {
    const { transports, transactions } = this.#context;
    const context = new ResponseContext(transports, transactions, transaction, plan, {
      ...handlers,
      done: () => {
        this.#running.delete(transaction);
        handlers.done();
      },
    });
    this.#running.set(transaction, context);
    context.start();
  }

  #planFor(transaction: ServerTransaction, options: ProxyOptions, message: AppMessage): ForkingPlan {
    const { request, flow: cameBy } = transaction;
    const base = forwardedRequest(request, this.#isOurs);
    const extra = appHeaders(message, cameBy);
    const { recordRoute, provisionalMs, finalMs } = options;
    return {
      ...options,
      branch: (target, redirected) => ({
        nextHop: target,
        request: {
          ...base,
          // Replace the Request-URI only if it names this server, or a target redirected to another URI.
          uri: redirected || this.#isOurs(base.uri) ? target : base.uri,
          headers: base.headers.copy(),
        },
        finish: (sent, flow) => {
          for (const [name, value] of extra) sent.headers.set(name, value);
          if (recordRoute) addRecordRoute(sent, cameBy, flow);
        },
        provisionalMs,
        finalMs,
      }),
    };
  }

  #handlersFor(
    listener: ProxyHandlers,
    transaction: ServerTransaction,
    options: ProxyOptions,
  ): ResponseContextHandlers {
    const { request, essentials } = transaction;
    const isInvite = request.method === 'INVITE';
    const stays = options.recordRoute && request.method !== 'REGISTER';
    return {
      sent: (sent) => {
        if (isInvite) reportCdr(this.#context, 'cdr:attempt', 'application', sent);
        if (stays) this.#dialogs.add(essentials.callId, essentials.fromTag, '');
      },
      answered: (response, flow) => {
        if (isInvite) this.#reportEnd('network', response, 'proxy-uac');
        if (flow) listener.answered(response, flow);
      },
      returned: (response) => {
        const tag = parseNameAddr(response.headers.get('to') ?? '')?.params.get('tag') ?? '';
        if (stays && response.status < 300) this.#dialogs.add(essentials.callId, essentials.fromTag, tag);
        if (isInvite && response.status >= 200) this.#reportEnd('application', response, 'proxy-uas');
        if (stays && response.status >= 300) this.#dialogs.forget(essentials.callId, essentials.fromTag);
      },
      done: () => listener.done(),
    };
  }

  #reportEnd(source: 'network' | 'application', response: SipResponse, role: string): void {
    if (response.status < 300) reportCdr(this.#context, 'cdr:start', source, response, role);
    else {
      const why = response.status === 487 ? 'call-canceled' : 'call-rejected';
      reportCdr(this.#context, 'cdr:stop', source, response, why);
    }
  }

  #refuse(transaction: ServerTransaction, status: number, why: string): void {
    const { request, localTag: toTag } = transaction;
    const response = buildResponse(request, status, { toTag, why });
    transaction.respond(response);
    if (request.method === 'INVITE') {
      reportCdr(this.#context, 'cdr:stop', 'application', response, 'call-rejected');
    }
  }

  readonly #isOurs = (uri: string): boolean => {
    const parsed = parseSipUri(uri);
    return parsed !== undefined && this.#context.transports.isOurs(parsed.host, parsed.port);
  };
}

function ignore(): void {
  // Nothing to do.
}

const NOBODY: ProxyHandlers = { answered: ignore, done: ignore };

/**
 * The dialogs in which this server has recorded its route. Requests of other dialogs are not forwarded: a server that
 * follows every Route header is an open relay. Bounded: the oldest dialogs are forgotten.
 */
class ProxiedDialogs {
  /** The callees' tags, by Call-ID and caller's tag. */
  readonly #callees: BoundedMap<string, Set<string>>;
  readonly #counters: SipCounters;

  constructor(limit: number, counters: SipCounters) {
    this.#callees = new BoundedMap(limit);
    this.#counters = counters;
  }

  get size(): number {
    return this.#callees.size;
  }

  /** Adds a dialog when the caller's request is forwarded, and when a response with a callee's tag is. */
  add(callId: string, callerTag: string, calleeTag: string): void {
    const key = keyOf(callId, callerTag);
    const callees = this.#callees.get(key) ?? new Set();
    if (calleeTag !== '' && callees.size < MAX_CALLEES) callees.add(calleeTag);
    const before = this.#callees.size;
    const isNew = this.#callees.get(key) === undefined;
    this.#callees.set(key, callees);
    if (isNew && this.#callees.size === before) this.#counters.droppedProxiedDialogs++;
  }

  /** Whether a request belongs to one of these dialogs, from either side. */
  has(essentials: Essentials): boolean {
    return this.#callerOf(essentials) !== undefined;
  }

  /** Removes one dialog. Those with other callees of the same call stay. */
  remove(essentials: Essentials): void {
    const caller = this.#callerOf(essentials);
    if (caller === undefined) return;
    const { callId, fromTag, toTag } = essentials;
    const callees = this.#callees.get(keyOf(callId, caller));
    callees?.delete(caller === fromTag ? toTag : fromTag);
    if (!callees || callees.size === 0) this.#callees.delete(keyOf(callId, caller));
  }

  /** Removes all dialogs of a call that was not answered. */
  forget(callId: string, callerTag: string): void {
    this.#callees.delete(keyOf(callId, callerTag));
  }

  #callerOf({ callId, fromTag, toTag }: Essentials): string | undefined {
    return [fromTag, toTag].find((tag) => this.#callees.get(keyOf(callId, tag)) !== undefined);
  }
}

function keyOf(callId: string, callerTag: string): string {
  return `${callId}|${callerTag}`;
}
