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

/** The transaction user (TU): gets the messages that no transaction absorbs. */
export interface TransactionUser {
  /** A new request other than ACK and CANCEL. Respond through the transaction. */
  request(transaction: ServerTransaction): void;
  /**
   * A CANCEL. `invite` is the transaction that it cancels, if there is one; `invite.open` is unset after its final
   * response.
   */
  cancel(transaction: ServerTransaction, invite: ServerMachine | undefined): void;
  /** An ACK without a transaction: the one for a 2xx. */
  ack(request: SipRequest, essentials: Essentials, flow: Flow): void;
  /** The same request arrived on another path (RFC 3261 section 8.2.2.2). */
  merged(transaction: ServerTransaction): void;
  /** An INVITE that got a 2xx was repeated on a new connection, because the old one failed. */
  repeated(machine: ServerMachine, essentials: Essentials, flow: Flow): void;
  /** A response without a transaction. */
  stray(response: SipResponse, essentials: Essentials): void;
  /** The table is full. */
  overloaded(request: SipRequest, essentials: Essentials, flow: Flow): void;
}

/** Callbacks for the sender of a request. */
interface ClientHandlers {
  response(response: SipResponse): void;
  failed(failure: ClientFailure): void;
}

/** Most memory for answered requests whose retransmissions may come. An ordinary one takes half a kilobyte. */
const MAX_KEPT_BYTES = 64 << 20;

/** Part of the table reserved for our own requests, so that we can end calls while others flood us. */
const RESERVE = 0.1;

/** The transaction layer: all running transactions, and how messages are matched to them (RFC 3261 section 17). */
export class Transactions {
  readonly #servers = new Map<string, ServerMachine>();
  readonly #clients = new Map<string, ClientTransaction>();
  /** Requests outside dialogs, by `mergeKey`. The value is the key of the first copy. */
  readonly #merges = new Map<string, string>();
  readonly #sender: Sender;
  readonly #user: TransactionUser;
  readonly #limit: number;
  readonly #counters: SipCounters;
  readonly #timeouts = new TransactionTimeouts<ServerMachine>((machine) => machine.terminate());
  /** One object for all transactions: closures per transaction would multiply its memory. */
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

  /** Whether a transaction with this key exists: the request is a retransmission, or the ACK for a refusal. */
  has(key: string): boolean {
    return this.#servers.has(key);
  }

  /**
   * Takes a request whose top Via has been completed with its source.
   * @param refuse whether to refuse it as overload, unless it has a transaction already
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

  /**
   * Takes up an INVITE that an earlier process has accepted, so that its retransmissions are recognised. The 2xx is sent
   * through the transaction.
   */
  resume(request: SipRequest, essentials: Essentials, flow: Flow, localTag: string): ServerTransaction {
    return this.#open(serverKey(request, essentials), undefined, localTag, request, essentials, flow);
  }

  /** Sends a request on a flow in a new client transaction, with our Via on top. */
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
      // Asynchronously, as a socket would: callers do not expect a callback while they send.
      setImmediate(() => handlers.failed('transport'));
      return transaction;
    }
    this.#clients.set(key, transaction);
    transaction.start();
    return transaction;
  }

  /** Sends the CANCEL of an INVITE, with the same branch (RFC 3261 section 9.1). */
  cancel(invite: InviteClientTransaction, cancel: SipRequest): void {
    const branch = topVia(invite.request.headers.all('via'))?.params.get('branch');
    const ignore = (): void => undefined;
    this.send(cancel, invite.flow, { response: ignore, failed: ignore }, branch);
    invite.expectCancelled();
  }

  /** Sends a request without a transaction: the ACK for a 2xx. */
  sendWithoutTransaction(request: SipRequest, flow: Flow): void {
    stampVia(request, flow, newBranch());
    this.resendWithoutTransaction(request, flow);
  }

  /** Sends it again unchanged. */
  resendWithoutTransaction(request: SipRequest, flow: Flow): void {
    this.#sender.sendMessage(flow, request);
  }

  /** From now on, new requests are refused. Known ones are still answered. */
  refuseNew(): void {
    this.#refusing = true;
  }

  /** Ends every transaction without sending anything. */
  stop(): void {
    for (const transaction of [...this.#servers.values(), ...this.#clients.values()]) transaction.terminate();
  }

  #begin(key: string, request: SipRequest, essentials: Essentials, flow: Flow): void {
    const mergeable = essentials.toTag === '' && request.method !== 'CANCEL';
    const merge = mergeable ? flatCopy(mergeKey(essentials)) : undefined;
    const own = flatCopy(key);
    const merged = this.#merge(own, merge);
    const transaction = this.#open(own, merge, newTag(), request, essentials, flow);
    if (merged) this.#user.merged(transaction);
    else if (request.method === 'CANCEL') {
      this.#user.cancel(transaction, this.#servers.get(cancelledKey(request, essentials)));
    } else this.#user.request(transaction);
  }

  #open(
    key: string,
    merge: string | undefined,
    localTag: string,
    request: SipRequest,
    essentials: Essentials,
    flow: Flow,
  ): ServerTransaction {
    const identity: ServerIdentity = {
      key,
      merge,
      localTag,
      weight: weightOf(request),
      reliable: flow.reliable,
      from: flow,
      back: replyFlow(flow, essentials.via, this.#sender),
    };
    const Machine = request.method === 'INVITE' ? InviteServerMachine : NonInviteServerMachine;
    const machine = new Machine(identity, this.#host);
    this.#servers.set(key, machine);
    this.#kept += identity.weight;
    return new ServerTransaction(request, essentials, flow, machine);
  }

  /** Whether the same request arrived earlier on another path. If not, it is noted. */
  #merge(key: string, merge: string | undefined): boolean {
    if (merge === undefined) return false;
    const first = this.#servers.get(this.#merges.get(merge) ?? '');
    // RFC 3263 section 4.3: when its connection fails, a client retries with only the branch changed.
    if (first?.identity.from.open === true) return true;
    this.#merges.set(merge, key);
    return false;
  }

  /**
   * A client whose connection failed repeats its request on a new one and expects the response there, perhaps before
   * we notice the failure. Not over UDP, where anybody could send such a repeat. Returns whether responses now take
   * another flow.
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

/** Characters that responses copy from the request (RFC 3261 section 8.2.6.2). */
function weightOf({ headers }: SipRequest): number {
  let weight = 0;
  for (const { key, value } of headers)
    if (key === 'via' || key === 'from' || key === 'to' || key === 'record-route') weight += value.length;
  return weight;
}

/** A new, unique branch (RFC 3261 section 8.1.1.7). */
function newBranch(): string {
  return `${BRANCH_COOKIE}-${randomUUID()}`;
}

/** A tag for From or To, with more than the 32 random bits that RFC 3261 section 19.3 requires. */
export function newTag(): string {
  return flatCopy(randomUUID().replaceAll('-', ''));
}

/** The essentials of a response; undefined if it is malformed. A malformed response is dropped. */
export function responseEssentials(response: SipResponse): Essentials | undefined {
  const essentials = readEssentials(response);
  return isFault(essentials) ? undefined : essentials;
}

function stampVia(request: SipRequest, flow: Flow, branch: string): void {
  const params = new Map([['branch', branch]]);
  // Ask for the response at the port that we send from (RFC 3581).
  if (flow.transport === 'udp') params.set('rport', '');
  const { host, port } = flow.local;
  request.headers.prepend('Via', formatVia({ transport: flow.transport.toUpperCase(), host, port, params }));
}

/** A response generated locally when the peer sent none: 408 or 503 (RFC 3261 section 8.1.3.1). */
export function locallyGeneratedResponse(request: SipRequest, failure: ClientFailure): SipResponse {
  return buildResponse(request, failure === 'timeout' ? 408 : 503, { toTag: newTag() });
}
