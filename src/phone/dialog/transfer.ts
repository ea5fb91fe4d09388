import type { PhoneCall } from '../call.js';
import { reasonHeader, Refusal } from '../refusal.js';
import type {
  Headers,
  OutgoingRequest,
  SipApplication,
  SipDialog,
  SipRequest,
  SipResponder,
} from '../sip.js';
import { header, hostOf, SDP_TYPE } from '../sip.js';
import { firstAddress } from '../name-addr.js';
import { uriParts } from '../tokens/uri-tokens.js';
import type { OfferAnswer } from './offer-answer.js';
import { finalResponse } from './offer-answer.js';

/** Where a REFER sends us (RFC 3515): whom to call, and which call of theirs to take over (RFC 3891). */
export interface TransferTarget {
  readonly uri: string;
  readonly replaces?: string;
}

/** drachtio-srf takes the URI apart in time by the square of its length. */
const MAX_URI = 1024;

/** @throws Refusal 400 when there is no SIP URI to call */
export function transferTarget(refer: SipRequest): TransferTarget {
  const { uri: full } = firstAddress(header(refer, 'refer-to') ?? '');
  const uri = full.split('?', 1)[0]!;
  if (full.length > MAX_URI || !/^sips?:[^\s<>"]+$/i.test(uri))
    throw new Refusal(400, 'Refer-To names no SIP URI.');
  const replaces = uriParts(full).headers.get('replaces');
  if (replaces !== undefined && /[\r\n]/.test(replaces)) throw new Refusal(400, 'Refer-To is malformed.');
  return { uri, ...(replaces !== undefined && { replaces }) };
}

/** How long a target may ring. */
const RINGING_LIMIT_MS = 60_000;

const TRYING = 'SIP/2.0 100 Trying';
const TAKEN = 'SIP/2.0 200 OK';

export interface TransferParts {
  readonly application: SipApplication;
  readonly exchange: OfferAnswer;
  /** Attends to the target's dialog as the call's own. */
  readonly attend: (dialog: SipDialog) => void;
}

/**
 * Transfers a phone away: calls the target with the call's own media, tells the phone how it goes (RFC 3515), and
 * when the target answers, goes on with it in the phone's place. Otherwise all stays as it was.
 */
export class Transfer {
  readonly #call: PhoneCall;
  readonly #dialog: SipDialog;
  readonly #parts: TransferParts;
  #running = false;
  #phoneLeft = false;
  /** The target answered: the call is with it. */
  #taken = false;

  constructor(call: PhoneCall, dialog: SipDialog, parts: TransferParts) {
    this.#call = call;
    this.#dialog = dialog;
    this.#parts = parts;
    dialog.on('destroy', () => (this.#phoneLeft = true));
  }

  /** @throws Refusal 400, or 491 while another transfer is under way */
  onRefer(refer: SipRequest, responder: SipResponder): void {
    const target = transferTarget(refer);
    if (this.#running) throw new Refusal(491, 'Another transfer is under way.');
    this.#running = true;
    responder.send(202, {});
    this.#call.log.info({ target: uriParts(target.uri).host }, 'The phone transfers its call away.');
    this.#call.beginHandover();
    this.#run(target)
      .catch((error: unknown) => this.#onFailure(error))
      .finally(() => {
        this.#running = false;
        this.#call.endHandover();
      });
  }

  #onFailure(error: unknown): void {
    this.#call.log.error({ err: error }, 'The transfer failed.');
    if (this.#taken) this.#call.hangUp('error', 'The answer of the transfer target could not be used.');
  }

  async #run(target: TransferTarget): Promise<void> {
    await this.#notify(TRYING, 'active;expires=60');
    let progress = 'SIP/2.0 500 Internal Server Error';
    try {
      const taken = await this.#parts.exchange.offerElsewhere(async (sdp) => {
        const outcome = await this.#invite(target, sdp);
        progress = outcome.statusLine;
        return outcome.sdpAnswer;
      });
      this.#call.log.info({ taken, progress }, 'The transfer is over.');
    } finally {
      await this.#notify(progress, 'terminated;reason=noresource');
    }
    if (this.#taken && !this.#phoneLeft)
      this.#call.sayBye(this.#dialog, { Reason: reasonHeader(200, 'The call was transferred.') });
  }

  /** Calls the target; a dialog that comes of it is the call's at once. */
  #invite(target: TransferTarget, localSdp: string): Promise<{ statusLine: string; sdpAnswer?: string }> {
    const headers: Headers = {
      'Content-Type': SDP_TYPE,
      ...(target.replaces !== undefined && { Replaces: target.replaces, Require: 'replaces' }),
    };
    return new Promise((resolve) => {
      let request: OutgoingRequest | undefined;
      const giveUp = (): void => request?.cancel(() => undefined);
      const limit = setTimeout(giveUp, RINGING_LIMIT_MS);
      this.#call.onEnded(giveUp);
      const cbRequest = (_error: unknown, sent?: OutgoingRequest): void => void (request = sent);
      const options = { localSdp, headers };
      this.#parts.application.createUAC(target.uri, options, { cbRequest }, (error, dialog) => {
        clearTimeout(limit);
        request = undefined;
        if (!dialog) resolve({ statusLine: statusLineOf(error) });
        else if (this.#call.ended) {
          this.#call.sayBye(dialog, { Reason: reasonHeader(487, 'The call is over.') });
          resolve({ statusLine: 'SIP/2.0 487 Request Terminated' });
        } else {
          this.#taken = true;
          this.#parts.attend(dialog);
          this.#confirm(dialog);
          resolve({ statusLine: TAKEN, sdpAnswer: dialog.remote.sdp });
        }
      });
    });
  }

  /** The target's 200 answers our INVITE: what is sent to where it came from arrives. It may be a proxy that answers. */
  #confirm({ res }: SipDialog): void {
    const address = res?.source_address;
    if (address !== undefined)
      this.#call.confirmed({ address: hostOf(address), isDirect: false, isConnection: false });
  }

  /** A NOTIFY of the implicit subscription; a phone that does not want it is not pressed. */
  async #notify(sipfrag: string, state: string): Promise<void> {
    if (this.#call.ended || this.#phoneLeft) return;
    const headers = {
      Event: 'refer',
      'Subscription-State': state,
      'Content-Type': 'message/sipfrag;version=2.0',
    };
    try {
      await finalResponse(this.#dialog, { method: 'NOTIFY', headers, body: `${sipfrag}\r\n` });
    } catch (error) {
      this.#call.log.debug({ err: error }, 'The phone could not be told about its transfer.');
    }
  }
}

/** drachtio-srf gives a refusal as an error with the response's status and reason. */
function statusLineOf(error: unknown): string {
  const { status, reason } = (error ?? {}) as { status?: unknown; reason?: unknown };
  if (typeof status !== 'number') return 'SIP/2.0 503 Service Unavailable';
  return `SIP/2.0 ${status} ${typeof reason === 'string' ? reason.replace(/[\r\n]/g, ' ') : ''}`;
}
