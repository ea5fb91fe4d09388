import { encodeMessage, NO_BODY, type SipRequest, type SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import { TRANSACTION_TIMEOUT, T1, T2, T4, Timers } from './timing.js';
import type { Transactions } from './transactions.js';
import { Headers } from '../message/headers.js';

/** Why the peer sent no response. */
export type ClientFailure = 'timeout' | 'transport';

/** Callbacks of a client transaction. */
interface ClientTransactionHost {
  send(bytes: Buffer, onFailure: (error: Error) => void): void;
  /** A response for the transaction user. Retransmissions are not reported, except of a 2xx to an INVITE. */
  response(response: SipResponse): void;
  failed(failure: ClientFailure): void;
  ended(): void;
}

/** What INVITE and non-INVITE client transactions have in common (RFC 3261 section 17.1). */
export abstract class ClientTransaction<State extends string = string, Timer extends string = string> {
  readonly request: SipRequest;
  readonly flow: Flow;
  protected readonly host: ClientTransactionHost;
  protected readonly timers = new Timers<Timer>();
  protected current: State | 'terminated';
  readonly #bytes: Buffer;

  constructor(first: State, request: SipRequest, flow: Flow, host: ClientTransactionHost) {
    this.current = first;
    this.request = request;
    this.flow = flow;
    this.host = host;
    this.#bytes = encodeMessage(request);
  }

  get state(): State | 'terminated' {
    return this.current;
  }

  /** Sends the request for the first time. */
  abstract start(): void;
  abstract receive(response: SipResponse): void;

  terminate(): void {
    if (this.current === 'terminated') return;
    this.current = 'terminated';
    this.timers.clearAll();
    this.host.ended();
  }

  protected abstract get answered(): boolean;

  protected sendRequest(): void {
    this.send(this.#bytes);
  }

  protected send(bytes: Buffer): void {
    this.host.send(bytes, () => this.fail('transport'));
  }

  protected fail(failure: ClientFailure): void {
    if (this.current === 'terminated') return;
    const { answered } = this;
    this.terminate();
    if (!answered) this.host.failed(failure);
  }
}

/** INVITE client transaction (RFC 3261 section 17.1.1 with the Accepted state of RFC 6026). */
export class InviteClientTransaction extends ClientTransaction<
  'calling' | 'proceeding' | 'accepted' | 'completed',
  'A' | 'B' | 'D' | 'M' | 'cancelled'
> {
  #ack: Buffer | undefined;

  constructor(request: SipRequest, flow: Flow, host: ClientTransactionHost) {
    super('calling', request, flow, host);
  }

  start(): void {
    this.timers.set('B', TRANSACTION_TIMEOUT, () => this.fail('timeout'));
    this.#transmit(T1);
  }

  receive(response: SipResponse): void {
    const { status } = response;
    switch (this.current) {
      case 'calling':
      case 'proceeding':
        if (status < 200) this.#proceed(response);
        else if (status < 300) this.#accept(response);
        else this.#complete(response);
        return;
      case 'accepted':
        // Retransmitted or forked 2xx: the core repeats its ACK, or hangs up the fork.
        if (status >= 200 && status < 300) this.host.response(response);
        return;
      case 'completed':
        if (status >= 300 && this.#ack) this.send(this.#ack);
        return;
      case 'terminated':
        return;
    }
  }

  /** A CANCEL was sent: fail if no final response follows within 64*T1 (RFC 3261 section 9.1). */
  expectCancelled(): void {
    this.timers.set('cancelled', TRANSACTION_TIMEOUT, () => this.fail('timeout'));
  }

  protected get answered(): boolean {
    return this.current === 'accepted' || this.current === 'completed';
  }

  /** In Accepted the core sends the ACKs, so a transport failure does not end the transaction. */
  protected override fail(failure: ClientFailure): void {
    if (this.current !== 'accepted') super.fail(failure);
  }

  #transmit(interval: number): void {
    this.sendRequest();
    if (this.flow.reliable) return;
    this.timers.set('A', interval, () => this.#transmit(interval * 2));
  }

  #proceed(response: SipResponse): void {
    this.current = 'proceeding';
    this.timers.clear('A');
    this.timers.clear('B');
    this.host.response(response);
  }

  #accept(response: SipResponse): void {
    this.current = 'accepted';
    this.timers.clearAll();
    this.timers.set('M', TRANSACTION_TIMEOUT, () => this.terminate());
    this.host.response(response);
  }

  #complete(response: SipResponse): void {
    this.current = 'completed';
    this.timers.clearAll();
    this.#ack = encodeMessage(acknowledge(this.request, response));
    this.send(this.#ack);
    if (this.flow.reliable) this.terminate();
    else this.timers.set('D', TRANSACTION_TIMEOUT, () => this.terminate());
    this.host.response(response);
  }
}

/** The ACK for a final response other than 2xx, which is part of the transaction (RFC 3261 section 17.1.1.3). */
function acknowledge(invite: SipRequest, response: SipResponse): SipRequest {
  const ack = requestForInvite(invite, 'ACK', response.headers.get('to') ?? '');
  ack.headers.prepend('Via', invite.headers.get('via') ?? '');
  return ack;
}

/** Non-INVITE client transaction (RFC 3261 section 17.1.2). */
export class NonInviteClientTransaction extends ClientTransaction<
  'trying' | 'proceeding' | 'completed',
  'E' | 'F' | 'K'
> {
  constructor(request: SipRequest, flow: Flow, host: ClientTransactionHost) {
    super('trying', request, flow, host);
  }

  start(): void {
    this.timers.set('F', TRANSACTION_TIMEOUT, () => this.fail('timeout'));
    this.#transmit(T1);
  }

  receive(response: SipResponse): void {
    if (this.current === 'completed' || this.current === 'terminated') return;
    if (response.status < 200) {
      this.current = 'proceeding';
    } else {
      this.current = 'completed';
      this.timers.clearAll();
      if (this.flow.reliable) this.terminate();
      else this.timers.set('K', T4, () => this.terminate());
    }
    this.host.response(response);
  }

  protected get answered(): boolean {
    return this.current === 'completed';
  }

  #transmit(interval: number): void {
    this.sendRequest();
    if (this.flow.reliable) return;
    this.timers.set('E', interval, () =>
      this.#transmit(this.current === 'proceeding' ? T2 : Math.min(interval * 2, T2)),
    );
  }
}

/** The CANCEL of our INVITE: sent at once, or after the first provisional response (RFC 3261 section 9.1). */
export class Cancellation {
  readonly #transactions: Transactions;
  readonly #invite: InviteClientTransaction;
  #provisional = false;
  #cancel: SipRequest | undefined;

  constructor(transactions: Transactions, invite: InviteClientTransaction) {
    this.#transactions = transactions;
    this.#invite = invite;
  }

  /** Whether the INVITE has been cancelled. */
  get wanted(): boolean {
    return this.#cancel !== undefined;
  }

  /** A provisional response to the INVITE came. */
  provisionalReceived(): void {
    const first = !this.#provisional;
    this.#provisional = true;
    if (first) this.#send();
  }

  /** Cancels the INVITE. `extra` headers are added to the CANCEL, which is returned. */
  cancel(extra: readonly (readonly [string, string])[]): SipRequest {
    if (!this.#cancel) {
      const { request } = this.#invite;
      this.#cancel = requestForInvite(request, 'CANCEL', request.headers.get('to') ?? '');
      for (const [name, value] of extra) this.#cancel.headers.add(name, value);
      if (this.#provisional) this.#send();
    }
    return this.#cancel;
  }

  #send(): void {
    if (this.#cancel) this.#transactions.cancel(this.#invite, this.#cancel);
  }
}

/**
 * The ACK or CANCEL for our INVITE, without Via (RFC 3261 sections 9.1 and 17.1.1.3). `to` is the To header: an ACK
 * takes it from the response.
 */
function requestForInvite(invite: SipRequest, method: 'ACK' | 'CANCEL', to: string): SipRequest {
  const headers = new Headers();
  for (const route of invite.headers.all('route')) headers.add('Route', route);
  headers.add('Max-Forwards', '70');
  headers.add('From', invite.headers.get('from') ?? '');
  headers.add('To', to);
  headers.add('Call-ID', invite.headers.get('call-id') ?? '');
  headers.add('CSeq', `${Number.parseInt(invite.headers.get('cseq') ?? '', 10)} ${method}`);
  return { kind: 'request', method, uri: invite.uri, headers, body: NO_BODY };
}
