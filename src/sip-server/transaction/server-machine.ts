import { encodeMessage, type SipRequest, type SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import { T1, T2, T4 } from './timing.js';
import type { Essentials } from '../message/essentials.js';

/** What is kept of a request: enough to recognise retransmissions and to send responses. */
export interface ServerIdentity {
  /** See `serverKey`. */
  readonly key: string;
  /** See `mergeKey`; undefined if merged requests are not detected. */
  readonly merge: string | undefined;
  /** Our tag, for all responses but 100. */
  readonly localTag: string;
  /** Characters that the response copies from the request: an estimate of the memory kept. */
  readonly weight: number;
  readonly reliable: boolean;
  /** The flow on which the request came. */
  readonly from: Flow;
  /** The flow for responses (RFC 3261 section 18.2.2). */
  readonly back: () => Flow;
}

/** Callbacks of server transactions. */
export interface ServerTransactionHost {
  /** Sends a response toward the client. */
  send(machine: ServerMachine, bytes: Buffer): void;
  /** Starts Timer H, J or L: terminates the transaction after 64*T1. */
  startTimeout(machine: ServerMachine): void;
  /** Stops that timer. */
  keep(machine: ServerMachine): void;
  /** The transaction has terminated. */
  ended(machine: ServerMachine): void;
}

/**
 * The state machine of a server transaction. It outlives its request, to handle retransmissions, so it holds as
 * little as possible: a busy server keeps thousands of these for 32 s each, and each garbage collection visits
 * everything they refer to. The request is released with the final response, and there are no closures, timers or
 * tables per transaction.
 */
export abstract class ServerMachine<State extends string = string> {
  identity: ServerIdentity;
  /** What the transaction user sees, until the final response. */
  open: ServerTransaction | undefined;
  protected readonly host: ServerTransactionHost;
  #state: State | 'terminated';
  #timer: NodeJS.Timeout | undefined;
  /** The last response, as latin1: a buffer would retain the slab that it was cut from. */
  #last: string | undefined;

  constructor(first: State, identity: ServerIdentity, host: ServerTransactionHost) {
    this.#state = first;
    this.identity = identity;
    this.host = host;
  }

  /** Our tag, for all responses but 100. */
  get localTag(): string {
    return this.identity.localTag;
  }

  get state(): State | 'terminated' {
    return this.#state;
  }

  /** Sends a response. Returns false if the state does not allow it any more. */
  abstract respond(response: SipResponse): boolean;

  /** A retransmission of the request, or the ACK for an INVITE. */
  abstract receive(method: string): void;

  /** Ends at once, without sending anything. */
  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    clearTimeout(this.#timer);
    this.#last = undefined;
    this.host.ended(this);
    this.#settle();
  }

  protected send(response: SipResponse): void {
    const bytes = encodeMessage(response);
    this.#last = bytes.toString('latin1');
    this.host.send(this, bytes);
  }

  protected resend(): void {
    if (this.#last !== undefined) this.host.send(this, Buffer.from(this.#last, 'latin1'));
  }

  /** Timers G and I. They never run at the same time. */
  protected after(ms: number, fire: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(fire, ms);
  }

  /** Enters a state. `final`: the final response has been sent. */
  protected enter(state: State, final: boolean): void {
    this.#state = state;
    if (final) this.#settle();
  }

  protected forgetResponse(): void {
    this.#last = undefined;
  }

  #settle(): void {
    const transaction = this.open;
    this.open = undefined;
    transaction?.settled();
  }
}

/** INVITE server transaction (RFC 3261 section 17.2.1 with the Accepted state of RFC 6026). */
export class InviteServerMachine extends ServerMachine<
  'proceeding' | 'accepted' | 'completed' | 'confirmed'
> {
  constructor(identity: ServerIdentity, host: ServerTransactionHost) {
    super('proceeding', identity, host);
  }

  respond(response: SipResponse): boolean {
    const accepted = response.status >= 200 && response.status < 300;
    // In Accepted the core may send its 2xx again, nothing else.
    const again = this.state === 'accepted' && accepted;
    if (this.state !== 'proceeding' && !again) return false;
    this.send(response);
    if (accepted) this.#accept(again);
    else if (response.status >= 300) this.#complete();
    return true;
  }

  receive(method: string): void {
    if (method === 'ACK') {
      if (this.state === 'completed') this.#confirm();
      return;
    }
    // In Accepted the core retransmits the 2xx by its own timer. Retransmitted INVITEs are absorbed.
    if (this.state === 'proceeding' || this.state === 'completed') this.resend();
  }

  #accept(again: boolean): void {
    this.forgetResponse();
    if (again) return;
    // Timer L.
    this.host.startTimeout(this);
    this.enter('accepted', true);
  }

  #complete(): void {
    // Timer H.
    this.host.startTimeout(this);
    if (!this.identity.reliable) this.#repeat(T1);
    this.enter('completed', true);
  }

  #repeat(interval: number): void {
    this.after(interval, () => {
      this.resend();
      this.#repeat(Math.min(interval * 2, T2));
    });
  }

  #confirm(): void {
    this.enter('confirmed', true);
    this.forgetResponse();
    this.host.keep(this);
    if (this.identity.reliable) this.terminate();
    else this.after(T4, () => this.terminate());
  }
}

/** Non-INVITE server transaction (RFC 3261 section 17.2.2). */
export class NonInviteServerMachine extends ServerMachine<'trying' | 'proceeding' | 'completed'> {
  constructor(identity: ServerIdentity, host: ServerTransactionHost) {
    super('trying', identity, host);
    // After 64*T1 the client has given up: do not respond later (RFC 4320 section 4.2).
    this.host.startTimeout(this);
  }

  respond(response: SipResponse): boolean {
    if (this.state === 'completed' || this.state === 'terminated') return false;
    this.send(response);
    if (response.status < 200) this.enter('proceeding', false);
    else this.#complete();
    return true;
  }

  receive(): void {
    this.resend();
  }

  #complete(): void {
    if (this.identity.reliable) {
      this.terminate();
      return;
    }
    // Timer J.
    this.host.startTimeout(this);
    this.enter('completed', true);
  }
}

/** A request that needs a response: what the transaction user sees of a server transaction. */
export class ServerTransaction {
  readonly request: SipRequest;
  readonly essentials: Essentials;
  readonly flow: Flow;
  readonly #machine: ServerMachine;
  #onSettled: (() => void) | undefined;

  constructor(request: SipRequest, essentials: Essentials, flow: Flow, machine: ServerMachine) {
    this.request = request;
    this.essentials = essentials;
    this.flow = flow;
    this.#machine = machine;
    machine.open = this;
  }

  /** Our tag, for all responses but 100. */
  get localTag(): string {
    return this.#machine.localTag;
  }

  /** Whether the final response has been sent, or the transaction ended without one. */
  get finished(): boolean {
    return this.#machine.open !== this;
  }

  /** Sends a response. Returns false if the state does not allow it any more. */
  respond(response: SipResponse): boolean {
    return this.#machine.respond(response);
  }

  /** Calls back once, on the final response or when the transaction ends without one. */
  onSettled(listener: () => void): void {
    this.#onSettled = listener;
  }

  /** Called by the state machine. */
  settled(): void {
    this.#onSettled?.();
    this.#onSettled = undefined;
  }
}
