import type { SipCounters } from './counters.js';
import type { Gate } from './defence/gate.js';
import type { SipLog } from './log.js';
import { isFault, readEssentials, type Essentials } from './message/essentials.js';
import type { SipMessage, SipRequest } from './message/message.js';
import { parseMessage } from './message/parse.js';
import { buildResponse } from './message/respond.js';
import { formatVia, replaceTopVia, topVia } from './message/via.js';
import { newTag, responseEssentials, type Transactions } from './transaction/transactions.js';
import type { Flow } from './transport/flow.js';
import { markedVia, replyFlow, type Sender } from './transport/sender.js';
import type { Watch } from './watch/watch.js';

const OVER_RATE_LINE_MS = 60_000;

/** The way in: from bytes of a peer to a message that the transactions may trust the form of. */
export class Inbound {
  readonly #sender: Sender;
  readonly #transactions: Transactions;
  readonly #counters: SipCounters;
  readonly #gate: Gate;
  readonly #watch: Watch;
  readonly #log: SipLog;
  #nextOverRateLine = 0;

  constructor(parts: {
    sender: Sender;
    transactions: Transactions;
    gate: Gate;
    watch: Watch;
    counters: SipCounters;
    log: SipLog;
  }) {
    this.#sender = parts.sender;
    this.#transactions = parts.transactions;
    this.#gate = parts.gate;
    this.#watch = parts.watch;
    this.#counters = parts.counters;
    this.#log = parts.log;
  }

  /** One datagram, or one message of a stream. Tells whether it made sense as a message. */
  receive(bytes: Buffer, flow: Flow): boolean {
    const admission = this.#gate.admits(bytes.length, flow);
    if (admission === 'dropped' || isKeepAlive(bytes)) return false;
    this.#watch.message('in', bytes, flow);
    const message = parseMessage(bytes);
    if (message.kind === 'unreadable') {
      this.#log.debug({ peer: flow.remote.host, why: message.why }, 'unreadable message');
      this.#counters.droppedUnreadable++;
      if (message.request) this.#refuse(message.request, message.status, message.why, flow);
      return false;
    }
    return this.#dispatch(message, flow, admission === 'over-rate');
  }

  #dispatch(message: SipMessage, flow: Flow, overRate: boolean): boolean {
    if (message.kind === 'response') {
      this.#counters.responsesIn++;
      const essentials = responseEssentials(message);
      if (essentials) this.#transactions.receiveResponse(message, essentials, flow);
      else this.#counters.droppedUnreadable++;
      return essentials !== undefined;
    }
    this.#counters.requestsIn++;
    if (!this.#gate.admitsAgent(message)) return false;
    const essentials = readEssentials(message);
    if (isFault(essentials)) {
      this.#counters.droppedUnreadable++;
      this.#refuse(message, essentials.status, essentials.why, flow);
      return false;
    }
    this.#request(message, essentials, flow, overRate);
    return true;
  }

  #request(request: SipRequest, essentials: Essentials, flow: Flow, overRate: boolean): void {
    markSource(request, flow);
    const refuse = overRate && startsSomething(request, essentials);
    if (this.#transactions.receiveRequest(request, essentials, flow, refuse) !== 'refused' || !refuse) return;
    this.#counters.refusedOverRate++;
    this.#tellOverRate(flow.remote.host);
  }

  /** Once in a minute for all: a trunk that is over its rate is so hundreds of times a second. */
  #tellOverRate(peer: string): void {
    const now = performance.now();
    if (now < this.#nextOverRateLine) return;
    this.#nextOverRateLine = now + OVER_RATE_LINE_MS;
    const refused = this.#counters.refusedOverRate;
    this.#log.warn(
      { peer, refused },
      'an allowed peer sends more than PATCHBAY_SIP_RATE: new requests get 503',
    );
  }

  /** A stateless answer, for what cannot have a transaction. One without a readable Via goes back where it came from. */
  #refuse(request: SipRequest, status: number, why: string, flow: Flow): void {
    if (request.method === 'ACK' || !request.headers.has('via')) return;
    const via = topVia(request.headers.all('via'));
    markSource(request, flow);
    this.#sender.sendMessage(
      via ? replyFlow(flow, via, this.#sender)() : flow,
      buildResponse(request, status, { toTag: newTag(), why }),
    );
  }
}

/** Whether a request asks for something new: what is under way is served at any rate. */
function startsSomething(request: SipRequest, { toTag }: Essentials): boolean {
  return toTag === '' && request.method !== 'ACK' && request.method !== 'CANCEL';
}

/** CRLF or a few zero bytes over UDP only keep a NAT binding open (RFC 5626 section 4.4.1). */
function isKeepAlive(bytes: Buffer): boolean {
  return bytes.length <= 4 && bytes.every((byte) => byte === 0 || byte === 10 || byte === 13);
}

/** Writes into the top Via where the request came from (RFC 3261 section 18.2.1, RFC 3581). */
function markSource(request: SipRequest, flow: Flow): void {
  const via = topVia(request.headers.all('via'));
  const marked = via && markedVia(via, flow.remote);
  if (marked) replaceTopVia(request.headers, formatVia(marked));
}
