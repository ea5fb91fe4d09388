import { encodeMessage, type SipRequest, type SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import { T1, T2, T4 } from './timing.js';
import type { Essentials } from '../message/essentials.js';

/** What is kept of a request: how repeats of it are known, and where responses go. */
export interface ServerIdentity {
  /** See `serverKey`. */
  readonly key: string;
  /** See `mergeKey`; undefined when copies of it are not told. */
  readonly merge: string | undefined;
  /** Tag of ours for every response but 100. */
  readonly localTag: string;
  /** Characters that its answer repeats of the request: what it is kept with. */
  readonly weight: number;
  readonly reliable: boolean;
  /** The flow that the request came by. */
  readonly from: Flow;
  /** Where responses go now (RFC 3261 section 18.2.2). */
  readonly back: () => Flow;
}

/** How server transactions reach the world around them. */
export interface ServerTransactionHost {
  /** Sends a response toward the client. */
  send(machine: ServerMachine, bytes: Buffer): void;
  /** Has it terminated when 64*T1 are over from now. */
  startTimeout(machine: ServerMachine): void;
  /** Takes that back. */
  keep(machine: ServerMachine): void;
  /** The transaction is over: its peer may be forgotten. */
  ended(machine: ServerMachine): void;
}

/**
 * The state machine of a server transaction: what must outlive its request to meet repeats of it, and no more.
 * A busy server holds thousands of these for half a minute each, and whatever hangs on them is looked at by each
 * garbage collection: so the request is let go with the final answer, and there are no closures, timers and tables
 * for each.
 */
export abstract class ServerMachine<State extends string = string> {
  identity: ServerIdentity;
  /** The transaction as its user knows it, until it has its final answer. */
  open: ServerTransaction | undefined;
  protected readonly host: ServerTransactionHost;
  #state: State | 'terminated';
  #timer: NodeJS.Timeout | undefined;
  /** The last response, one byte in each character: a buffer would hold on to the slab that it was cut from. */
  #last: string | undefined;

  constructor(first: State, identity: ServerIdentity, host: ServerTransactionHost) {
    this.#state = first;
    this.identity = identity;
    this.host = host;
  }

  /** Tag of ours for every response but 100. */
  get localTag(): string {
    return this.identity.localTag;
  }

  get state(): State | 'terminated' {
    return this.#state;
  }

  /** Sends a response; false when the state does not allow it any more. */
  abstract respond(response: SipResponse): boolean;

  /** A retransmission of the request came, or for an INVITE its ACK. */
  abstract receive(method: string): void;

  /** Ends at once, without another message. */
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

  /** Timers G and I; the later takes the place of the earlier. */
  protected after(ms: number, fire: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(fire, ms);
  }

  /** Enters a state that more responses may follow, or a `final` one. */
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
    // In Accepted the user agent core may pass its 2xx down again, nothing else.
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
    // In Accepted the core retransmits the 2xx by its own timer; a repeated INVITE is only absorbed.
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

/** Server transaction of every other method (RFC 3261 section 17.2.2). */
export class NonInviteServerMachine extends ServerMachine<'trying' | 'proceeding' | 'completed'> {
  constructor(identity: ServerIdentity, host: ServerTransactionHost) {
    super('trying', identity, host);
    // After 64*T1 the client has given up (RFC 4320 section 4.2): answering would only confuse.
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

/** A request of a peer that is to be answered: what its user sees of a server transaction. */
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

  /** Tag of ours for every response but 100. */
  get localTag(): string {
    return this.#machine.localTag;
  }

  /** Whether it has its final answer, or is over without one. */
  get finished(): boolean {
    return this.#machine.open !== this;
  }

  /** Sends a response; false when the state does not allow it any more. */
  respond(response: SipResponse): boolean {
    return this.#machine.respond(response);
  }

  /** Calls back once when it has its final answer or ends without one. */
  onSettled(listener: () => void): void {
    this.#onSettled = listener;
  }

  /** Told by the state machine. */
  settled(): void {
    this.#onSettled?.();
    this.#onSettled = undefined;
  }
}
