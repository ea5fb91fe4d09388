import { readNumber } from '../message/grammar.js';
import type { SipMessage, SipRequest, SipResponse } from '../message/message.js';
import { PATIENCE, Timers } from '../transaction/timing.js';
import { endDialog, type DialogRecord, type UserAgentContext } from './context.js';

/** How long a subscription lasts when neither side says. */
const DEFAULT_SECONDS = 3600;
/** Longer ones are ended all the same: timers cannot wait longer than 24 days. */
const MAX_SECONDS = 2_000_000;

/** Ends the dialogs of subscriptions whose last NOTIFY never comes, once their time is over (RFC 6665 section 4.1.2). */
export class Subscriptions {
  readonly #context: UserAgentContext;

  constructor(context: UserAgentContext) {
    this.#context = context;
  }

  /** A request in the dialog of a subscription, or the one that made it, was accepted. */
  settled(record: DialogRecord, request: SipRequest, response: SipResponse): void {
    if (record.dialog.method !== 'SUBSCRIBE') return;
    if (request.method === 'SUBSCRIBE') {
      this.#lastFor(record, expiresOf(response) ?? expiresOf(request) ?? DEFAULT_SECONDS);
    } else if (request.method === 'NOTIFY') {
      const left = /;\s*expires\s*=\s*(\d+)/i.exec(request.headers.get('subscription-state') ?? '')?.[1];
      const seconds = left === undefined ? undefined : readNumber(left, 2 ** 32 - 1);
      if (seconds !== undefined) this.#lastFor(record, seconds);
    }
  }

  /** The last NOTIFY has the time of one transaction more. */
  #lastFor(record: DialogRecord, seconds: number): void {
    const { dialog } = record;
    if (dialog.state === 'ended') return;
    record.expiry ??= new Timers();
    record.expiry.set('expired', Math.min(seconds, MAX_SECONDS) * 1000 + PATIENCE, () => {
      this.#context.log.debug({ callId: dialog.callId }, 'a subscription ran out without a last NOTIFY');
      endDialog(this.#context, dialog);
    });
  }
}

function expiresOf(message: SipMessage): number | undefined {
  return readNumber(message.headers.get('expires') ?? '', 2 ** 32 - 1);
}
