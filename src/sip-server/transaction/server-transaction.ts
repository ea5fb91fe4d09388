import type { Essentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Flow } from '../transport/flow.js';
import type { ServerMachine } from './server-machine.js';

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
