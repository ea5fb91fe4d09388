import { randomUUID } from 'node:crypto';
import type { SipCounters } from '../counters.js';
import { type Essentials, isFault, readEssentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import { BRANCH_COOKIE, formatVia, topVia } from '../message/headers.js';
import type { Flow } from '../transport/flow.js';
import { replyFlow, type Sender } from '../transport/udp.js';
import {
  type ClientFailure,
  type ClientTransaction,
  InviteClientTransaction,
  NonInviteClientTransaction,
} from './client-transaction.js';
import { cancelledKey, clientKey, mergeKey, flatCopy, serverKey } from './keys.js';
import { TransactionTimeouts } from './timing.js';
import {
  InviteServerMachine,
  NonInviteServerMachine,
  type ServerIdentity,
  type ServerMachine,
  ServerTransaction,
  type ServerTransactionHost,
} from './server-machine.js';

/** The layer above: what happens when no transaction took a message. */
export interface TransactionUser {
  /** A new request other than ACK and CANCEL; answer it by the transaction. */
  request(transaction: ServerTransaction): void;
  /** A CANCEL; `invite` is what it is for, if that is known, its request gone when it has been answered. */
  cancel(transaction: ServerTransaction, invite: ServerMachine | undefined): void;
  /** An ACK that belongs to no transaction: the one for a 2xx. */
  ack(request: SipRequest, essentials: Essentials, flow: Flow): void;
  /** The same request came by another way (RFC 3261 section 8.2.2.2). */
  merged(transaction: ServerTransaction): void;
  /** An INVITE that got its 2xx came again, by a connection in place of one that is gone. */
  repeated(machine: ServerMachine, essentials: Essentials, flow: Flow): void;
  /** A response that belongs to no transaction. */
  stray(response: SipResponse, essentials: Essentials): void;
  /** There is no room for one more request. */
  overloaded(request: SipRequest, essentials: Essentials, flow: Flow): void;
}

/** What the sender of a request is told. */
interface ClientHandlers {
  response(response: SipResponse): void;
  failed(failure: ClientFailure): void;
}

/** What may be kept of requests until their repeats stop; ordinary ones keep half a kilobyte. */
const MAX_KEPT_BYTES = 64 << 20;

/** The share of the table that is kept for requests of our own, so that calls can be ended in a flood of others'. */
const RESERVE = 0.1;

/** The transaction layer: tables of all running transactions and the rules that find one (RFC 3261 section 17). */
export class Transactions {
  readonly #servers = new Map<string, ServerMachine>();
  readonly #clients = new Map<string, ClientTransaction>();
  /** Requests outside dialogs, by what their forked copies share; the value is the key of the first. */
  readonly #merges = new Map<string, string>();
  readonly #sender: Sender;
  readonly #user: TransactionUser;
  readonly #limit: number;
  readonly #counters: SipCounters;
  readonly #timeouts = new TransactionTimeouts<ServerMachine>((machine) => machine.terminate());
  /** One for all: with closures of its own, an answered request would weigh several times as much. */
  readonly #host: ServerTransactionHost = {
    send: (machine, bytes) => this.#sender.send(machine.identity.back(), bytes, 'response'),
    startTimeout: (machine) => this.#timeouts.begin(machine),
    keep: (machine) => this.#timeouts.forget(machine),
    ended: (machine) => this.#forget(machine),
  };
  #refusing = false;
  #kept = 0;

  constructor(sender: Sender, user: TransactionUser, limit: number, counters: SipCounters) {
    this.#sender = sender;
    this.#user = user;
    this.#limit = limit;
    this.#counters = counters;
  }

  get size(): number {
    return this.#servers.size + this.#clients.size;
  }

  get #full(): boolean {
    return this.size >= this.#limit || this.#kept >= MAX_KEPT_BYTES;
  }

  /** Whether a request with this key is known: this one repeats it, or acknowledges its refusal. */
  has(key: string): boolean {
    return this.#servers.has(key);
  }

  /**
   * Takes a request whose top Via already tells where it came from.
   * @param refuse whether it is refused for want of room, unless a transaction has it already
   */
  receiveRequest(
    request: SipRequest,
    essentials: Essentials,
    flow: Flow,
    refuse = false,
  ): 'taken' | 'refused' {
    const key = serverKey(request, essentials);
    const known = this.#servers.get(key);
    if (known) {
      if (request.method === 'ACK' && essentials.toTag === known.localTag) this.#sender.prove(flow);
      const moved = this.#follow(known, essentials, flow);
      known.receive(request.method);
      if (moved && known.state === 'accepted') this.#user.repeated(known, essentials, flow);
    } else if (request.method === 'ACK') this.#user.ack(request, essentials, flow);
    else if (refuse || this.#refusing || this.#full) {
      if (!refuse && !this.#refusing) this.#counters.droppedTransactions++;
      this.#user.overloaded(request, essentials, flow);
      return 'refused';
    } else this.#begin(key, request, essentials, flow);
    return 'taken';
  }

  receiveResponse(response: SipResponse, essentials: Essentials, flow: Flow): void {
    const transaction = this.#clients.get(clientKey(essentials));
    if (transaction) {
      this.#sender.prove(flow);
      transaction.receive(response);
    } else this.#user.stray(response, essentials);
  }

  /** Sends a request over a flow in a new client transaction, with a Via of ours on top. */
  send(request: SipRequest, flow: Flow, handlers: ClientHandlers, branch = newBranch()): ClientTransaction {
    stampVia(request, flow, branch);
    const key = `${branch}|${request.method}`;
    const host = {
      send: (bytes: Buffer, onFailure: (error: Error) => void) =>
        this.#sender.send(flow, bytes, 'request', onFailure),
      response: (response: SipResponse) => handlers.response(response),
      failed: (failure: ClientFailure) => handlers.failed(failure),
      ended: () => void this.#clients.delete(key),
    };
    const transaction =
      request.method === 'INVITE'
        ? new InviteClientTransaction(request, flow, host)
        : new NonInviteClientTransaction(request, flow, host);
    if (this.size >= this.#limit * (1 + RESERVE)) {
      this.#counters.droppedTransactions++;
      // Later, as a socket would: callers are not ready to be called back while they send.
      setImmediate(() => handlers.failed('transport'));
      return transaction;
    }
    this.#clients.set(key, transaction);
    transaction.start();
    return transaction;
  }

  /** Sends the CANCEL of an INVITE, under its branch (RFC 3261 section 9.1). */
  cancel(invite: InviteClientTransaction, cancel: SipRequest): void {
    const branch = topVia(invite.request.headers.all('via'))?.params.get('branch');
    const ignore = (): void => undefined;
    this.send(cancel, invite.flow, { response: ignore, failed: ignore }, branch);
    invite.expectCancelled();
  }

  /** Sends a request that no transaction keeps: the ACK for a 2xx. */
  sendWithoutTransaction(request: SipRequest, flow: Flow): void {
    stampVia(request, flow, newBranch());
    this.resendWithoutTransaction(request, flow);
  }

  /** Sends it once more as it is. */
  resendWithoutTransaction(request: SipRequest, flow: Flow): void {
    this.#sender.sendMessage(flow, request);
  }

  /** Refuses requests that are new from now on; those that are known are still answered. */
  refuseNew(): void {
    this.#refusing = true;
  }

  /** Ends every transaction without another message. */
  stop(): void {
    for (const transaction of [...this.#servers.values(), ...this.#clients.values()]) transaction.terminate();
  }

  #begin(key: string, request: SipRequest, essentials: Essentials, flow: Flow): void {
    const mergeable = essentials.toTag === '' && request.method !== 'CANCEL';
    const identity = {
      key: flatCopy(key),
      merge: mergeable ? flatCopy(mergeKey(essentials)) : undefined,
      localTag: newTag(),
      weight: weightOf(request),
      reliable: flow.reliable,
      from: flow,
      back: replyFlow(flow, essentials.via, this.#sender),
    };
    const merged = this.#merge(identity);
    const Machine = request.method === 'INVITE' ? InviteServerMachine : NonInviteServerMachine;
    const machine = new Machine(identity, this.#host);
    this.#servers.set(identity.key, machine);
    this.#kept += identity.weight;
    const transaction = new ServerTransaction(request, essentials, flow, machine);
    if (merged) this.#user.merged(transaction);
    else if (request.method === 'CANCEL') {
      this.#user.cancel(transaction, this.#servers.get(cancelledKey(request, essentials)));
    } else this.#user.request(transaction);
  }

  /** Whether the same request came by another way before; notes that it came if not. */
  #merge({ key, merge }: ServerIdentity): boolean {
    if (merge === undefined) return false;
    const first = this.#servers.get(this.#merges.get(merge) ?? '');
    // RFC 3263 section 4.3: a client whose connection failed asks anew, and changes nothing but the branch.
    if (first?.identity.from.open === true) return true;
    this.#merges.set(merge, key);
    return false;
  }

  /**
   * A client that lost its connection repeats its request by another, on which it awaits the answer: we may not know
   * of the loss yet. Over UDP anybody could send such a repeat. Tells whether responses go another way now.
   */
  #follow(machine: ServerMachine, { via }: Essentials, flow: Flow): boolean {
    const { identity } = machine;
    if (!flow.reliable || !identity.reliable || flow === identity.from) return false;
    machine.identity = { ...identity, from: flow, back: replyFlow(flow, via, this.#sender) };
    return true;
  }

  #forget(machine: ServerMachine): void {
    const { key, merge, weight } = machine.identity;
    this.#timeouts.forget(machine);
    if (this.#servers.delete(key)) this.#kept -= weight;
    if (merge !== undefined && this.#merges.get(merge) === key) this.#merges.delete(merge);
  }
}

/** What answers repeat of a request (RFC 3261 section 8.2.6.2). */
function weightOf({ headers }: SipRequest): number {
  let weight = 0;
  for (const { key, value } of headers)
    if (key === 'via' || key === 'from' || key === 'to' || key === 'record-route') weight += value.length;
  return weight;
}

/** A branch that no other transaction has (RFC 3261 section 8.1.1.7). */
function newBranch(): string {
  return `${BRANCH_COOKIE}-${randomUUID()}`;
}

/** A tag for From or To, with more than the 32 bits of chance that RFC 3261 section 19.3 wants. */
export function newTag(): string {
  return flatCopy(randomUUID().replaceAll('-', ''));
}

/** Reads the essentials of a response; undefined when it is malformed, as responses get no reply. */
export function responseEssentials(response: SipResponse): Essentials | undefined {
  const essentials = readEssentials(response);
  return isFault(essentials) ? undefined : essentials;
}

function stampVia(request: SipRequest, flow: Flow, branch: string): void {
  const params = new Map([['branch', branch]]);
  // Ask for the reply at the port that we send from (RFC 3581).
  if (flow.transport === 'udp') params.set('rport', '');
  const { host, port } = flow.local;
  request.headers.prepend('Via', formatVia({ transport: flow.transport.toUpperCase(), host, port, params }));
}

/** A response generated locally when the peer sent none: 408 or 503 (RFC 3261 section 8.1.3.1). */
export function locallyGeneratedResponse(request: SipRequest, failure: ClientFailure): SipResponse {
  return buildResponse(request, failure === 'timeout' ? 408 : 503, { toTag: newTag() });
}
