import type { Essentials } from '../message/essentials.js';
import { encodeMessage, type SipRequest, type SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import { PATIENCE, T1, T2, T4, Timers } from './timing.js';

/** How a server transaction reaches the world around it. */
export interface ServerTransactionHost {
  /** Sends a response toward the client (RFC 3261 section 18.2.2). */
  send(bytes: Buffer, response: SipResponse): void;
  /** The transaction is over: its peer may be forgotten. */
  ended(): void;
  /** INVITE only: no ACK came for a final response other than 2xx. */
  unacknowledged?(): void;
}

type InviteState = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
type OtherState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** What both kinds of server transaction have in common. */
export interface ServerTransaction {
  readonly request: SipRequest;
  readonly essentials: Essentials;
  readonly flow: Flow;
  /** Tag of ours for every response but 100. */
  readonly localTag: string;
  readonly finished: boolean;
  /** Sends a response; false when the state does not allow it any more. */
  respond(response: SipResponse): boolean;
  /** A retransmission of the request came, or for an INVITE its ACK. */
  receive(request: SipRequest): void;
  /** Ends at once, without another message. */
  terminate(): void;
  /** Calls back once when it is over. */
  onEnd(listener: () => void): void;
}

/** INVITE server transaction (RFC 3261 section 17.2.1 with the Accepted state of RFC 6026). */
export class InviteServerTransaction implements ServerTransaction {
  readonly request: SipRequest;
  readonly essentials: Essentials;
  readonly flow: Flow;
  readonly localTag: string;
  readonly #host: ServerTransactionHost;
  readonly #timers = new Timers<'G' | 'H' | 'I' | 'L'>();
  #state: InviteState = 'proceeding';
  #last: { bytes: Buffer; response: SipResponse } | undefined;
  #onEnd: (() => void) | undefined;

  constructor(
    request: SipRequest,
    essentials: Essentials,
    flow: Flow,
    localTag: string,
    host: ServerTransactionHost,
  ) {
    this.request = request;
    this.essentials = essentials;
    this.flow = flow;
    this.localTag = localTag;
    this.#host = host;
  }

  get state(): InviteState {
    return this.#state;
  }

  get finished(): boolean {
    return this.#state !== 'proceeding';
  }

  respond(response: SipResponse): boolean {
    const accepted = response.status >= 200 && response.status < 300;
    // In Accepted the user agent core may pass its 2xx down again, nothing else.
    if (this.#state !== 'proceeding' && !(this.#state === 'accepted' && accepted)) return false;
    this.#last = { bytes: encodeMessage(response), response };
    this.#resend();
    if (this.#state === 'accepted' || response.status < 200) return true;
    if (accepted) {
      this.#state = 'accepted';
      this.#timers.set('L', PATIENCE, () => this.terminate());
    } else this.#complete();
    return true;
  }

  receive(request: SipRequest): void {
    if (request.method === 'ACK') {
      if (this.#state === 'completed') this.#confirm();
      return;
    }
    // In Accepted the core retransmits the 2xx by its own timer; a repeated INVITE is only absorbed.
    if (this.#state === 'proceeding' || this.#state === 'completed') this.#resend();
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#timers.clearAll();
    this.#host.ended();
    this.#onEnd?.();
  }

  onEnd(listener: () => void): void {
    this.#onEnd = listener;
  }

  #complete(): void {
    this.#state = 'completed';
    this.#timers.set('H', PATIENCE, () => {
      this.#host.unacknowledged?.();
      this.terminate();
    });
    if (!this.flow.reliable) this.#repeat(T1);
  }

  #repeat(interval: number): void {
    this.#timers.set('G', interval, () => {
      this.#resend();
      this.#repeat(Math.min(interval * 2, T2));
    });
  }

  #confirm(): void {
    this.#state = 'confirmed';
    this.#timers.clear('G');
    this.#timers.clear('H');
    if (this.flow.reliable) this.terminate();
    else this.#timers.set('I', T4, () => this.terminate());
  }

  #resend(): void {
    if (this.#last) this.#host.send(this.#last.bytes, this.#last.response);
  }
}

/** Server transaction of every other method (RFC 3261 section 17.2.2). */
export class OtherServerTransaction implements ServerTransaction {
  readonly request: SipRequest;
  readonly essentials: Essentials;
  readonly flow: Flow;
  readonly localTag: string;
  readonly #host: ServerTransactionHost;
  readonly #timers = new Timers<'J' | 'unanswered'>();
  #state: OtherState = 'trying';
  #last: { bytes: Buffer; response: SipResponse } | undefined;
  #onEnd: (() => void) | undefined;

  constructor(
    request: SipRequest,
    essentials: Essentials,
    flow: Flow,
    localTag: string,
    host: ServerTransactionHost,
  ) {
    this.request = request;
    this.essentials = essentials;
    this.flow = flow;
    this.localTag = localTag;
    this.#host = host;
    // After 64*T1 the client has given up (RFC 4320 section 4.2): answering would only confuse.
    this.#timers.set('unanswered', PATIENCE, () => this.terminate());
  }

  get state(): OtherState {
    return this.#state;
  }

  get finished(): boolean {
    return this.#state === 'completed' || this.#state === 'terminated';
  }

  respond(response: SipResponse): boolean {
    if (this.finished) return false;
    this.#last = { bytes: encodeMessage(response), response };
    this.#host.send(this.#last.bytes, response);
    if (response.status < 200) {
      this.#state = 'proceeding';
      return true;
    }
    this.#state = 'completed';
    this.#timers.clear('unanswered');
    if (this.flow.reliable) this.terminate();
    else this.#timers.set('J', PATIENCE, () => this.terminate());
    return true;
  }

  receive(): void {
    if (this.#last) this.#host.send(this.#last.bytes, this.#last.response);
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#timers.clearAll();
    this.#host.ended();
    this.#onEnd?.();
  }

  onEnd(listener: () => void): void {
    this.#onEnd = listener;
  }
}
