import { holdsToken } from '../../../shared/index.js';
import type { PhoneCall } from '../call.js';
import { logFailure, reasonHeader, Refusal } from '../refusal.js';
import {
  header,
  type Headers,
  hostOf,
  type OutgoingRequest,
  SDP_TYPE,
  sdpOf,
  type SipApplication,
  type SipDialog,
  type SipRequest,
  type SipResponder,
  type SipResponse,
} from '../sip.js';
import { firstAddress } from '../caller.js';
import { uriParts } from '../tokens/authenticate.js';
import { finalResponse, type OfferAnswer } from './offer-answer.js';

/** The target of a REFER (RFC 3515): whom to call, and with which headers. */
interface TransferTarget {
  readonly uri: string;
  /** The harmless ones of those that the URI asks for. Replaces (RFC 3891) says which call to take over. */
  readonly headers: Headers;
}

/** drachtio-srf parses a URI in time quadratic in its length. */
const MAX_URI = 1024;

/** Headers that a Refer-To may add to our INVITE, by name in lower case. RFC 3261 section 19.1.5 warns of most others. */
const CARRIED: ReadonlyMap<string, string> = new Map([
  ['replaces', 'Replaces'],
  ['user-to-user', 'User-to-User'],
  ['subject', 'Subject'],
]);

/** @throws Refusal 400 when Refer-To has no SIP URI to call */
export function transferTarget(refer: SipRequest): TransferTarget {
  const { uri: full } = firstAddress(header(refer, 'refer-to') ?? '');
  const uri = full.split('?', 1)[0]!;
  if (full.length > MAX_URI || !/^sips?:[^\s<>"]+$/i.test(uri))
    throw new Refusal(400, 'Refer-To has no SIP URI.');
  const { parameters, headers: asked } = uriParts(full);
  if ((parameters.get('method') ?? 'INVITE').toUpperCase() !== 'INVITE')
    throw new Refusal(400, 'Refer-To asks for another method than INVITE.');
  const headers: Headers = {};
  for (const [name, value] of asked) {
    const carried = CARRIED.get(name) ?? extensionName(name);
    if (carried === undefined) continue;
    if (/[\r\n]/.test(value)) throw new Refusal(400, 'Refer-To is malformed.');
    headers[carried] = value;
  }
  if (headers['Replaces'] !== undefined) headers['Require'] = 'replaces';
  // A Request-URI has no method parameter (RFC 3261 section 19.1.1).
  return { uri: uri.replace(/;method=[^;]*/i, ''), headers };
}

/** The usual spelling of an application's header: `X-Order` for `x-order`. */
function extensionName(name: string): string | undefined {
  if (!/^x-[a-z0-9-]*[a-z0-9]$/.test(name)) return undefined;
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/** Who transfers (RFC 3892): the Referred-By of the REFER, or else its From. */
function referredBy(refer: SipRequest): Headers {
  const { uri } = firstAddress(header(refer, 'referred-by') ?? header(refer, 'from') ?? '');
  const usable = uri.length <= MAX_URI && /^(?:sips?|tel):[^\s<>"]+$/i.test(uri) && !holdsToken(uri);
  return usable ? { 'Referred-By': `<${uri}>` } : {};
}

/** How long a target may ring. */
const RINGING_LIMIT_MS = 60_000;

const TRYING = 'SIP/2.0 100 Trying';
const TAKEN = 'SIP/2.0 200 OK';
/** Ends the implicit subscription. */
const LAST_STATE = 'terminated;reason=noresource';

interface TransferParts {
  readonly application: SipApplication;
  readonly exchange: OfferAnswer;
  /** Makes the target's dialog the call's own. */
  readonly attend: (dialog: SipDialog) => void;
}

/**
 * Transfers a phone's call: calls the target with the call's own media, and reports progress to the phone (RFC 3515). If
 * the target answers, it replaces the phone; otherwise the call stays as it was.
 */
export class Transfer {
  readonly #call: PhoneCall;
  readonly #dialog: SipDialog;
  readonly #parts: TransferParts;
  #running = false;
  #phoneLeft = false;
  /** The target answered: the call belongs to it. */
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
    this.#call.log.info({ target: uriParts(target.uri).host }, 'The phone transfers its call.');
    this.#call.beginHandover();
    const headers = { ...target.headers, ...referredBy(refer) };
    this.#run({ ...target, headers })
      .catch((error: unknown) => this.#onFailure(error))
      .finally(() => {
        this.#running = false;
        this.#call.endHandover();
      });
  }

  #onFailure(error: unknown): void {
    logFailure(this.#call.log, error, 'The transfer failed.');
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
      await this.#notify(progress, LAST_STATE);
    }
    if (this.#taken && !this.#phoneLeft)
      this.#call.byes.send(this.#dialog, { Reason: reasonHeader(200, 'The call was transferred.') });
  }

  /** Calls the target. If it answers, its dialog is the call's at once. */
  #invite(target: TransferTarget, localSdp: string): Promise<{ statusLine: string; sdpAnswer?: string }> {
    const headers: Headers = { ...target.headers, 'Content-Type': SDP_TYPE };
    const early = new EarlyAnswers();
    return new Promise((resolve) => {
      let request: OutgoingRequest | undefined;
      const giveUp = (): void => request?.cancel(() => undefined);
      const limit = setTimeout(giveUp, RINGING_LIMIT_MS);
      this.#call.atEnd(giveUp);
      const cbRequest = (_error: unknown, sent?: OutgoingRequest): void => void (request = sent);
      const options = { localSdp, headers };
      this.#parts.application.createUAC(
        target.uri,
        options,
        { cbRequest, cbProvisional: (response) => early.add(response) },
        (error, dialog) => {
          clearTimeout(limit);
          request = undefined;
          if (!dialog) resolve({ statusLine: statusLineOf(error) });
          else if (this.#call.ended) {
            this.#call.byes.send(dialog, { Reason: reasonHeader(487, 'The call is over.') });
            resolve({ statusLine: 'SIP/2.0 487 Request Terminated' });
          } else {
            this.#taken = true;
            this.#parts.attend(dialog);
            this.#confirm(dialog);
            resolve({ statusLine: TAKEN, sdpAnswer: early.answerOf(dialog) });
          }
        },
      );
    });
  }

  /** Tells the media plane where the target's 200 came from. A proxy may have sent it, so it is not taken as direct. */
  #confirm({ res }: SipDialog): void {
    const address = res?.source_address;
    if (address !== undefined)
      this.#call.confirmed({ address: hostOf(address), isDirect: false, isConnection: false });
  }

  /** Sends NOTIFY for the implicit subscription. The transfer goes on if the phone refuses it. */
  async #notify(sipfrag: string, state: string): Promise<void> {
    if (!this.#phoneLeft) await notify(this.#call, this.#dialog, sipfrag, state);
  }
}

async function notify(call: PhoneCall, dialog: SipDialog, sipfrag: string, state: string): Promise<void> {
  if (call.ended) return;
  const headers = {
    Event: 'refer',
    'Subscription-State': state,
    'Content-Type': 'message/sipfrag;version=2.0',
  };
  try {
    await finalResponse(dialog, { method: 'NOTIFY', headers, body: `${sipfrag}\r\n` });
  } catch (error) {
    call.log.debug({ err: error }, 'The phone could not be told about its transfer.');
  }
}

/** Tells a phone that its transfer came to nothing: the process that carried it out died. */
export async function endLostTransfer(call: PhoneCall, dialog: SipDialog): Promise<void> {
  call.log.warn({}, 'A transfer was lost with the gateway that died.');
  await notify(call, dialog, 'SIP/2.0 503 Service Unavailable', LAST_STATE);
}

/** Early descriptions are kept of so many forks of a call (RFC 3261 section 12.1.2). */
const MAX_FORKS = 8;

/** The early descriptions of a target. Many carriers do not repeat them in the 200. */
class EarlyAnswers {
  /** By To tag. */
  readonly #byTag = new Map<string, string>();

  add(response: SipResponse): void {
    const sdp = sdpOf(response);
    const tag = /;\s*tag=([^;>\s]+)/i.exec(header(response, 'to') ?? '')?.[1];
    if (sdp !== undefined && tag !== undefined && this.#byTag.size < MAX_FORKS) this.#byTag.set(tag, sdp);
  }

  /** The description of the 200, or else of the provisional response with the same To tag. */
  answerOf({ remote, sip }: SipDialog): string {
    const sdp = (remote.sdp ?? '').trim() === '' ? this.#byTag.get(sip.remoteTag) : remote.sdp;
    return sdp ?? '';
  }
}

/** drachtio-srf reports a refusal as an error with the response's status and reason. */
function statusLineOf(error: unknown): string {
  const { status, reason } = (error ?? {}) as { status?: unknown; reason?: unknown };
  if (typeof status !== 'number') return 'SIP/2.0 503 Service Unavailable';
  return `SIP/2.0 ${status} ${typeof reason === 'string' ? reason.replace(/[\r\n]/g, ' ') : ''}`;
}
