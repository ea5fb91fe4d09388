import { type Log, TokenBucket } from '../../shared/index.js';
import type { SipCounters } from '../counters.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';

/** So many refusals are logged: anybody can send requests that are refused. The counters have all of them. */
const LOGGED = { perSecond: 20, burst: 100 };

/** Counts and logs the requests that the server refuses by itself, without an application. */
export class Refusals {
  readonly #counters: SipCounters;
  readonly #log: Log;
  readonly #lines = new TokenBucket(LOGGED, performance.now());

  constructor(counters: SipCounters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  /** Does nothing for a response that is no refusal, nor for 487: the caller cancelled. */
  tell(request: SipRequest, { status, headers }: SipResponse, flow: Pick<Flow, 'remote'>): void {
    if (status < 400 || status === 487) return;
    this.#counters[counterOf(status)]++;
    if (!this.#lines.take(performance.now())) return;
    const fields = {
      callId: request.headers.get('call-id'),
      method: request.method,
      status,
      reason: headers.get('reason'),
      peer: flow.remote.host,
    };
    this.#log.info(fields, 'a request was refused');
  }
}

function counterOf(
  status: number,
): 'refusedMethod' | 'refusedInterval' | 'refusedUnknownCall' | 'refusedOther' {
  switch (status) {
    case 405:
    case 501:
      return 'refusedMethod';
    case 422:
      return 'refusedInterval';
    case 481:
      return 'refusedUnknownCall';
    default:
      return 'refusedOther';
  }
}
