import type { SipCounters } from './counters.js';
import type { Gate } from './defence/gate.js';
import { encodeMessage, type SipMessage } from './message/message.js';
import type { Endpoint, Flow, TransportName } from './transport/flow.js';
import type { Sender } from './transport/sender.js';
import type { Transports } from './transport/transports.js';
import type { Watch } from './watch/watch.js';

/** The way out: counts, watches and bounds what leaves. */
export class Outbound implements Sender {
  readonly #transports: Transports;
  readonly #gate: Gate;
  readonly #watch: Watch;
  readonly #counters: SipCounters;

  constructor(transports: Transports, gate: Gate, watch: Watch, counters: SipCounters) {
    this.#transports = transports;
    this.#gate = gate;
    this.#watch = watch;
    this.#counters = counters;
  }

  send(flow: Flow, bytes: Buffer, kind: SipMessage['kind'], onFailure?: (error: Error) => void): void {
    // Requests start with us: only answers can be aimed at somebody by forging a source.
    if (kind === 'response' && !this.#gate.allowsSending(bytes.length, flow)) return;
    if (kind === 'request') this.#counters.requestsOut++;
    else this.#counters.responsesOut++;
    this.#watch.message('out', bytes, flow);
    flow.send(bytes, onFailure);
  }

  sendMessage(flow: Flow, message: SipMessage): void {
    this.send(flow, encodeMessage(message), message.kind);
  }

  flowTo(transport: TransportName, remote: Endpoint, name?: string): Flow | undefined {
    return this.#transports.flowTo(transport, remote, name);
  }

  prove(flow: Flow): void {
    this.#gate.prove(flow);
  }
}
