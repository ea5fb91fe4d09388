import { encodeMessage, type SipResponse } from '../message/message.js';
import type { ServerTransaction } from './server-transaction.js';
import { PATIENCE, T1, T2, T4, Timers } from './timing.js';

/** How a server transaction reaches the world around it. */
export interface ServerTransactionHost {
  /** Sends a response toward the client (RFC 3261 section 18.2.2). */
  send(bytes: Buffer): void;
  /** The transaction is over: its peer may be forgotten. */
  ended(): void;
}

/**
 * The state machine of a server transaction: what must outlive its request to meet repeats of it, and no more.
 * A busy server holds thousands of these for half a minute each, so the request is let go with the final answer.
 */
export abstract class ServerMachine<State extends string = string, Timer extends string = string> {
  /** Tag of ours for every response but 100. */
  readonly localTag: string;
  /** The transaction as its user knows it, until it has its final answer. */
  open: ServerTransaction | undefined;
  protected readonly reliable: boolean;
  protected readonly timers = new Timers<Timer>();
  readonly #host: ServerTransactionHost;
  #state: State | 'terminated';
  /** The last response, one byte in each character: a buffer would hold on to the slab that it was cut from. */
  #last: string | undefined;

  constructor(first: State, localTag: string, reliable: boolean, host: ServerTransactionHost) {
    this.#state = first;
    this.localTag = localTag;
    this.reliable = reliable;
    this.#host = host;
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
    this.timers.clearAll();
    this.#last = undefined;
    this.#host.ended();
    this.#settle();
  }

  protected send(response: SipResponse): void {
    const bytes = encodeMessage(response);
    this.#last = bytes.toString('latin1');
    this.#host.send(bytes);
  }

  protected resend(): void {
    if (this.#last !== undefined) this.#host.send(Buffer.from(this.#last, 'latin1'));
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
  'proceeding' | 'accepted' | 'completed' | 'confirmed',
  'G' | 'H' | 'I' | 'L'
> {
  constructor(localTag: string, reliable: boolean, host: ServerTransactionHost) {
    super('proceeding', localTag, reliable, host);
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
    this.timers.set('L', PATIENCE, () => this.terminate());
    this.enter('accepted', true);
  }

  #complete(): void {
    this.timers.set('H', PATIENCE, () => this.terminate());
    if (!this.reliable) this.#repeat(T1);
    this.enter('completed', true);
  }

  #repeat(interval: number): void {
    this.timers.set('G', interval, () => {
      this.resend();
      this.#repeat(Math.min(interval * 2, T2));
    });
  }

  #confirm(): void {
    this.enter('confirmed', true);
    this.forgetResponse();
    this.timers.clearAll();
    if (this.reliable) this.terminate();
    else this.timers.set('I', T4, () => this.terminate());
  }
}

/** Server transaction of every other method (RFC 3261 section 17.2.2). */
export class OtherServerMachine extends ServerMachine<
  'trying' | 'proceeding' | 'completed',
  'J' | 'unanswered'
> {
  constructor(localTag: string, reliable: boolean, host: ServerTransactionHost) {
    super('trying', localTag, reliable, host);
    // After 64*T1 the client has given up (RFC 4320 section 4.2): answering would only confuse.
    this.timers.set('unanswered', PATIENCE, () => this.terminate());
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
    this.timers.clear('unanswered');
    if (this.reliable) {
      this.terminate();
      return;
    }
    this.timers.set('J', PATIENCE, () => this.terminate());
    this.enter('completed', true);
  }
}
