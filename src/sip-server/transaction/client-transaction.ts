import { encodeMessage, NO_BODY, type SipRequest, type SipResponse } from '../message/message.js';
import { Headers } from '../message/headers.js';
import type { Flow } from '../transport/flow.js';
import { PATIENCE, T1, T2, T4, Timers } from './timing.js';

/** Why a request got no answer from its peer. */
export type ClientFailure = 'timeout' | 'transport';

/** How a client transaction reaches the world around it. */
export interface ClientTransactionHost {
  send(bytes: Buffer, request: SipRequest, onFailure: (error: Error) => void): void;
  /** A response to act on; retransmissions of final ones other than 2xx are kept back. */
  response(response: SipResponse): void;
  failed(failure: ClientFailure): void;
  ended(): void;
}

type InviteState = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
type OtherState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** What both kinds of client transaction have in common. */
export interface ClientTransaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  /** Sends the request for the first time. */
  start(): void;
  receive(response: SipResponse): void;
  terminate(): void;
}

/** INVITE client transaction (RFC 3261 section 17.1.1 with the Accepted state of RFC 6026). */
export class InviteClientTransaction implements ClientTransaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #bytes: Buffer;
  readonly #host: ClientTransactionHost;
  readonly #timers = new Timers<'A' | 'B' | 'D' | 'M' | 'cancelled'>();
  #state: InviteState = 'calling';
  #ack: { bytes: Buffer; request: SipRequest } | undefined;

  constructor(request: SipRequest, flow: Flow, host: ClientTransactionHost) {
    this.request = request;
    this.flow = flow;
    this.#bytes = encodeMessage(request);
    this.#host = host;
  }

  get state(): InviteState {
    return this.#state;
  }

  start(): void {
    this.#timers.set('B', PATIENCE, () => this.#fail('timeout'));
    this.#transmit(T1);
  }

  receive(response: SipResponse): void {
    const { status } = response;
    switch (this.#state) {
      case 'calling':
      case 'proceeding':
        if (status < 200) this.#proceed(response);
        else if (status < 300) this.#accept(response);
        else this.#complete(response);
        return;
      case 'accepted':
        // Retransmitted or forked 2xx: the core has an ACK to repeat, or a fork to hang up.
        if (status >= 200 && status < 300) this.#host.response(response);
        return;
      case 'completed':
        if (status >= 300 && this.#ack) this.#send(this.#ack.bytes, this.#ack.request);
        return;
      case 'terminated':
        return;
    }
  }

  /** A CANCEL was sent: give up if no final response comes in time (RFC 3261 section 9.1). */
  expectCancelled(): void {
    this.#timers.set('cancelled', PATIENCE, () => this.#fail('timeout'));
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#timers.clearAll();
    this.#host.ended();
  }

  #transmit(interval: number): void {
    this.#send(this.#bytes, this.request);
    if (this.flow.reliable) return;
    this.#timers.set('A', interval, () => this.#transmit(interval * 2));
  }

  #proceed(response: SipResponse): void {
    this.#state = 'proceeding';
    this.#timers.clear('A');
    this.#timers.clear('B');
    this.#host.response(response);
  }

  #accept(response: SipResponse): void {
    this.#state = 'accepted';
    this.#timers.clearAll();
    this.#timers.set('M', PATIENCE, () => this.terminate());
    this.#host.response(response);
  }

  #complete(response: SipResponse): void {
    this.#state = 'completed';
    this.#timers.clearAll();
    const ack = acknowledge(this.request, response);
    this.#ack = { bytes: encodeMessage(ack), request: ack };
    this.#send(this.#ack.bytes, ack);
    if (this.flow.reliable) this.terminate();
    else this.#timers.set('D', PATIENCE, () => this.terminate());
    this.#host.response(response);
  }

  #send(bytes: Buffer, request: SipRequest): void {
    this.#host.send(bytes, request, () => this.#fail('transport'));
  }

  #fail(failure: ClientFailure): void {
    if (this.#state === 'accepted' || this.#state === 'terminated') return;
    const pending = this.#state !== 'completed';
    this.terminate();
    if (pending) this.#host.failed(failure);
  }
}

/** The ACK for a final response other than 2xx, which belongs to the transaction (RFC 3261 section 17.1.1.3). */
function acknowledge(invite: SipRequest, response: SipResponse): SipRequest {
  const headers = new Headers();
  headers.add('Via', invite.headers.get('via') ?? '');
  for (const route of invite.headers.all('route')) headers.add('Route', route);
  headers.add('Max-Forwards', '70');
  headers.add('From', invite.headers.get('from') ?? '');
  headers.add('To', response.headers.get('to') ?? '');
  headers.add('Call-ID', invite.headers.get('call-id') ?? '');
  headers.add('CSeq', (invite.headers.get('cseq') ?? '').replace(/\S+$/, 'ACK'));
  return { kind: 'request', method: 'ACK', uri: invite.uri, headers, body: NO_BODY };
}

/** Client transaction of every other method (RFC 3261 section 17.1.2). */
export class OtherClientTransaction implements ClientTransaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #bytes: Buffer;
  readonly #host: ClientTransactionHost;
  readonly #timers = new Timers<'E' | 'F' | 'K'>();
  #state: OtherState = 'trying';

  constructor(request: SipRequest, flow: Flow, host: ClientTransactionHost) {
    this.request = request;
    this.flow = flow;
    this.#bytes = encodeMessage(request);
    this.#host = host;
  }

  get state(): OtherState {
    return this.#state;
  }

  start(): void {
    this.#timers.set('F', PATIENCE, () => this.#fail('timeout'));
    this.#transmit(T1);
  }

  receive(response: SipResponse): void {
    if (this.#state === 'completed' || this.#state === 'terminated') return;
    if (response.status < 200) {
      this.#state = 'proceeding';
    } else {
      this.#state = 'completed';
      this.#timers.clearAll();
      if (this.flow.reliable) this.terminate();
      else this.#timers.set('K', T4, () => this.terminate());
    }
    this.#host.response(response);
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#timers.clearAll();
    this.#host.ended();
  }

  #transmit(interval: number): void {
    this.#host.send(this.#bytes, this.request, () => this.#fail('transport'));
    if (this.flow.reliable) return;
    this.#timers.set('E', interval, () =>
      this.#transmit(this.#state === 'proceeding' ? T2 : Math.min(interval * 2, T2)),
    );
  }

  #fail(failure: ClientFailure): void {
    if (this.#state === 'completed' || this.#state === 'terminated') return;
    this.terminate();
    this.#host.failed(failure);
  }
}
