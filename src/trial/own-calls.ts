import type { Endpoint } from '../sip-server/index.js';

const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`;

/**
 * By what the gateway knows its own calls. Its SIP server knows the sockets that they come from: the kernel gives an
 * address and port of this machine to one socket only. Its phone application knows their Call-IDs, which are random and
 * good for one INVITE. So neither is any use to a stranger, and there is no header that would show in traces.
 */
export class OwnCalls {
  readonly #sockets = new Set<string>();
  readonly #callIds = new Set<string>();

  addSocket(local: Endpoint): void {
    this.#sockets.add(keyOf(local));
  }

  removeSocket(local: Endpoint): void {
    this.#sockets.delete(keyOf(local));
  }

  isOwnSocket(remote: Endpoint): boolean {
    return this.#sockets.size > 0 && this.#sockets.has(keyOf(remote));
  }

  expect(callId: string): void {
    this.#callIds.add(callId);
  }

  forget(callId: string): void {
    this.#callIds.delete(callId);
  }

  /** Whether an INVITE with this Call-ID is one of the gateway's own calls; true once for each. */
  take(callId: string): boolean {
    return this.#callIds.delete(callId);
  }
}
