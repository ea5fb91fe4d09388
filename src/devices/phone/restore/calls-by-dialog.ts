import type { PhoneCall } from '../call.js';
import { keyOf } from '../reliable.js';
import type { SipRequest } from '../sip.js';
import type { EmbeddedServer } from './call-keeper.js';

/** Finds the call of a dialog of the embedded SIP server, which tells of the dialog before it answers the INVITE. */
export class CallsByDialog {
  readonly #embedded: EmbeddedServer | undefined;
  /** By the dialog's id. */
  readonly #answered = new Map<string, PhoneCall>();
  /** Calls whose 200 is not sent yet, by Call-ID and the phone's tag. */
  readonly #answering = new Map<string, PhoneCall>();

  constructor(embedded: EmbeddedServer | undefined) {
    this.#embedded = embedded;
  }

  /** The call's INVITE gets its 200 next. */
  answering(call: PhoneCall, invite: SipRequest): void {
    if (!this.#embedded) return;
    const key = keyOf(invite);
    this.#answering.set(key, call);
    call.atEnd(() => this.#leave(key, call));
  }

  /** A call has this dialog. */
  add(call: PhoneCall, dialogId: string): void {
    if (!this.#embedded || this.#answered.get(dialogId) === call) return;
    this.#answered.set(dialogId, call);
    call.atEnd(() => this.#answered.delete(dialogId));
  }

  find(dialogId: string): PhoneCall | undefined {
    const known = this.#answered.get(dialogId);
    if (known || this.#answering.size === 0) return known;
    const dialog = this.#embedded?.savedDialog(dialogId);
    const key = dialog && `${dialog.callId} ${dialog.remoteTag}`;
    const call = key === undefined ? undefined : this.#answering.get(key);
    if (key === undefined || !call) return undefined;
    this.#answering.delete(key);
    this.add(call, dialogId);
    return call;
  }

  #leave(key: string, call: PhoneCall): void {
    if (this.#answering.get(key) === call) this.#answering.delete(key);
  }
}
