import { Headers } from '../message/headers.js';
import { NO_BODY, type SipRequest } from '../message/message.js';
import type { InviteClientTransaction } from './client-transaction.js';
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
      this.#cancel = cancelOf(this.#invite.request, extra);
      if (this.#provisional) this.#send();
    }
    return this.#cancel;
  }

  #send(): void {
    if (this.#cancel) this.#transactions.cancel(this.#invite, this.#cancel);
  }
}

/** The CANCEL of an INVITE, without Via. */
function cancelOf(invite: SipRequest, extra: readonly (readonly [string, string])[]): SipRequest {
  const headers = new Headers();
  for (const route of invite.headers.all('route')) headers.add('Route', route);
  headers.add('Max-Forwards', '70');
  headers.add('From', invite.headers.get('from') ?? '');
  headers.add('To', invite.headers.get('to') ?? '');
  headers.add('Call-ID', invite.headers.get('call-id') ?? '');
  headers.add('CSeq', (invite.headers.get('cseq') ?? '').replace(/\S+$/, 'CANCEL'));
  for (const [name, value] of extra) headers.add(name, value);
  return { kind: 'request', method: 'CANCEL', uri: invite.uri, headers, body: NO_BODY };
}
