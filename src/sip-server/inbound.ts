import type { Log } from '../shared/index.js';
import { dialogKey, type Dialogs } from './dialog/dialog.js';
import type { SipCounters } from './counters.js';
import { AdmissionQueue, type Arrival, type Refused } from './defence/admission-queue.js';
import type { SourceFilter } from './defence/source-filter.js';
import { type InviteView, inviteView } from './defence/request-view.js';
import { isFault, readEssentials, type Essentials, type Fault } from './message/essentials.js';
import type { SipMessage, SipRequest } from './message/message.js';
import { parseMessage } from './message/parse.js';
import { buildResponse } from './message/respond.js';
import { formatVia, replaceTopVia, topVia } from './message/headers.js';
import type { SipAdmission } from './options.js';
import { cancelledKey, serverKey } from './transaction/keys.js';
import { newTag, responseEssentials, type Transactions } from './transaction/transactions.js';
import type { Flow } from './transport/flow.js';
import { markedVia, replyFlow, type Sender } from './transport/udp.js';
import type { MessageTrace } from './trace.js';

const OVER_RATE_LINE_MS = 60_000;

interface NewRequest extends Arrival {
  readonly request: SipRequest;
  readonly essentials: Essentials;
  readonly flow: Flow;
}

const ADMIT_ALL: SipAdmission = { admit: () => undefined, crowded: () => 5 };

const WHY: Record<Refused, string> = {
  crowded: 'too many new calls',
  stale: 'the request waited too long',
  cancelled: 'cancelled by the caller',
  notAdmitted: 'the gateway is at its limit',
};

/** The way in: filters and parses what peers send, and passes it to the transactions. */
export class Inbound {
  readonly #sender: Sender;
  readonly #transactions: Transactions;
  readonly #counters: SipCounters;
  readonly #sourceFilter: SourceFilter;
  readonly #dialogs: Pick<Dialogs, 'byKey'>;
  readonly #trace: MessageTrace;
  readonly #log: Log;
  readonly #admission: SipAdmission;
  readonly #onNoRoom: ((invite: InviteView) => void) | undefined;
  readonly #queue: AdmissionQueue<NewRequest>;
  /** `Retry-After` of the last request that `SipAdmission` refused, in seconds. */
  #retryAfter = 0;
  /**
   * To tag of all refusals without a transaction: retransmissions must get the same tag (RFC 3261 section 8.2.7), and
   * their ACKs are recognised by it before they are parsed.
   */
  readonly #refusalTag = newTag();
  #nextOverRateLine = 0;

  constructor(parts: {
    sender: Sender;
    transactions: Transactions;
    sourceFilter: SourceFilter;
    dialogs: Pick<Dialogs, 'byKey'>;
    trace: MessageTrace;
    counters: SipCounters;
    log: Log;
    admission?: SipAdmission | undefined;
    onNoRoom?: ((invite: InviteView) => void) | undefined;
  }) {
    this.#sender = parts.sender;
    this.#transactions = parts.transactions;
    this.#sourceFilter = parts.sourceFilter;
    this.#dialogs = parts.dialogs;
    this.#trace = parts.trace;
    this.#counters = parts.counters;
    this.#log = parts.log;
    this.#admission = parts.admission ?? ADMIT_ALL;
    this.#onNoRoom = parts.onNoRoom;
    this.#queue = new AdmissionQueue({
      now: () => performance.now(),
      admit: (arrival) => this.#admits(arrival),
      serve: ({ request, essentials, flow }) => {
        this.#transactions.receiveRequest(request, essentials, flow);
      },
      refuse: (arrival, why) => this.#refuseNew(arrival, why),
    });
  }

  /** New requests that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Drops the requests that wait. */
  stop(): void {
    this.#queue.close();
  }

  /** Takes one datagram, or one message of a stream. Returns whether it was a valid message. */
  receive(bytes: Buffer, flow: Flow): boolean {
    const admission = this.#sourceFilter.admits(bytes.length, flow);
    if (admission === 'dropped' || isKeepAlive(bytes)) return false;
    this.#queue.received();
    if (this.#isAckOfRefusal(bytes)) return true;
    this.#trace.message('in', bytes, flow);
    const message = parseMessage(bytes);
    if (message.kind === 'unreadable') {
      const callId = message.request?.headers.get('call-id');
      this.#log.debug({ peer: flow.remote.host, callId, why: message.why }, 'unreadable message');
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
    const essentials = readEssentials(message);
    if (!this.#isKnown(message, essentials) && !this.#sourceFilter.admitsAgent(message)) return false;
    if (isFault(essentials)) {
      this.#counters.droppedUnreadable++;
      const callId = message.headers.get('call-id');
      this.#log.debug({ peer: flow.remote.host, callId, why: essentials.why }, 'unusable request');
      this.#refuse(message, essentials.status, essentials.why, flow);
      return false;
    }
    this.#request(message, essentials, flow, overRate);
    return true;
  }

  /** Whether a request belongs to a dialog or transaction of an application. Its User-Agent is not checked then. */
  #isKnown(request: SipRequest, essentials: Essentials | Fault): boolean {
    if (isFault(essentials) || startsSomething(request, essentials)) return false;
    const { callId, toTag, fromTag } = essentials;
    if (toTag !== '') return this.#dialogs.byKey(dialogKey(callId, toTag, fromTag)) !== undefined;
    return request.method === 'CANCEL' && this.#transactions.has(cancelledKey(request, essentials));
  }

  #request(request: SipRequest, essentials: Essentials, flow: Flow, overRate: boolean): void {
    markSource(request, flow);
    if (!startsSomething(request, essentials)) {
      if (request.method === 'CANCEL') this.#queue.withdraw(cancelledKey(request, essentials));
      this.#transactions.receiveRequest(request, essentials, flow);
      return;
    }
    const key = serverKey(request, essentials);
    if (this.#transactions.has(key)) this.#transactions.receiveRequest(request, essentials, flow);
    else if (overRate) {
      this.#transactions.receiveRequest(request, essentials, flow, true);
      this.#counters.refusedOverRate++;
      this.#tellOverRate(flow.remote.host);
    } else this.#queue.enter({ key, source: flow.remote.host, request, essentials, flow });
  }

  #admits({ request, source, flow }: NewRequest): boolean {
    const isOwn = this.#sourceFilter.isOwn(flow);
    const retryAfter = request.method === 'INVITE' ? this.#admission.admit(source, isOwn) : undefined;
    this.#retryAfter = retryAfter ?? 0;
    return retryAfter === undefined;
  }

  /** Refuses a request without creating a transaction. */
  #refuseNew({ request, essentials, flow }: NewRequest, why: Refused): void {
    const status = why === 'cancelled' ? 487 : 503;
    const headers: [string, string][] = [];
    if (why === 'crowded' || why === 'stale') {
      this.#counters[why === 'stale' ? 'refusedStale' : 'refusedCrowded']++;
      headers.push(['Retry-After', String(this.#admission.crowded())]);
    } else if (why === 'notAdmitted') {
      this.#counters.refusedNotAdmitted++;
      headers.push(['Retry-After', String(this.#retryAfter)]);
    }
    this.#sender.sendMessage(
      replyFlow(flow, essentials.via, this.#sender)(),
      buildResponse(request, status, { toTag: this.#refusalTag, why: WHY[why], headers }),
    );
    if (status === 503 && request.method === 'INVITE') this.#onNoRoom?.(inviteView(request, flow));
  }

  /** No transaction waits for such an ACK. */
  #isAckOfRefusal(bytes: Buffer): boolean {
    if (bytes[0] !== LETTER_A || !bytes.includes(this.#refusalTag)) return false;
    this.#counters.requestsIn++;
    return true;
  }

  /** At most one line a minute: a trunk over its rate is refused hundreds of times a second. */
  #tellOverRate(peer: string): void {
    const now = performance.now();
    if (now < this.#nextOverRateLine) return;
    this.#nextOverRateLine = now + OVER_RATE_LINE_MS;
    const refused = this.#counters.refusedOverRate;
    this.#log.warn({ peer, refused }, 'an allowed peer exceeds PATCHBAY_SIP_RATE: its new requests get 503');
  }

  /**
   * A stateless response, for a request that cannot have a transaction. Without a readable Via it is sent to the
   * source.
   */
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

const LETTER_A = 0x41;

/** Whether a request starts something new. Everything else is served under load too. */
function startsSomething(request: SipRequest, { toTag }: Essentials): boolean {
  return toTag === '' && request.method !== 'ACK' && request.method !== 'CANCEL';
}

/** CRLF or up to four zero bytes over UDP only keep a NAT binding open (RFC 5626 section 4.4.1). */
function isKeepAlive(bytes: Buffer): boolean {
  return bytes.length <= 4 && bytes.every((byte) => byte === 0 || byte === 10 || byte === 13);
}

/** Adds `received` and `rport` to the top Via (RFC 3261 section 18.2.1, RFC 3581). */
function markSource(request: SipRequest, flow: Flow): void {
  const via = topVia(request.headers.all('via'));
  const marked = via && markedVia(via, flow.remote);
  if (marked) replaceTopVia(request.headers, formatVia(marked));
}
