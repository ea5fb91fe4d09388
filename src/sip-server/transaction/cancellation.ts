import type { SipRequest } from '../message/message.js';
import type { InviteClientTransaction } from './client-transaction.js';
import { companionOf } from './companion.js';
import type { Transactions } from './transactions.js';

/** The CANCEL of an INVITE of ours: sent at once, or as soon as a provisional response came (RFC 3261 section 9.1). */
export class Cancellation {
  readonly #transactions: Transactions;
  readonly #invite: InviteClientTransaction;
  #provisional = false;
  #cancel: SipRequest | undefined;

  constructor(transactions: Transactions, invite: InviteClientTransaction) {
    this.#transactions = transactions;
    this.#invite = invite;
  }

  /** Whether the INVITE is not wanted any more. */
  get wanted(): boolean {
    return this.#cancel !== undefined;
  }

  /** A provisional response to the INVITE came. */
  heardProvisional(): void {
    const first = !this.#provisional;
    this.#provisional = true;
    if (first) this.#send();
  }

  /** Gives the INVITE up, with more headers for the CANCEL; returns it. */
  cancel(extra: readonly (readonly [string, string])[]): SipRequest {
    if (!this.#cancel) {
      const { request } = this.#invite;
      this.#cancel = companionOf(request, 'CANCEL', request.headers.get('to') ?? '');
      for (const [name, value] of extra) this.#cancel.headers.add(name, value);
      if (this.#provisional) this.#send();
    }
    return this.#cancel;
  }

  #send(): void {
    if (this.#cancel) this.#transactions.cancel(this.#invite, this.#cancel);
  }
}
