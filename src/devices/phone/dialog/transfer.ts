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

/** Where a REFER sends us (RFC 3515): whom to call, and with which headers besides. */
interface TransferTarget {
  readonly uri: string;
  /** Those that the URI asks for, as far as they can do no harm, with which call of theirs to take over (RFC 3891). */
  readonly headers: Headers;
}

/** drachtio-srf takes the URI apart in time by the square of its length. */
const MAX_URI = 1024;

/** Headers that a Refer-To may put into our INVITE: RFC 3261 section 19.1.5 warns of most. By name in lower case. */
const CARRIED: ReadonlyMap<string, string> = new Map([
  ['replaces', 'Replaces'],
  ['user-to-user', 'User-to-User'],
  ['subject', 'Subject'],
]);

/** @throws Refusal 400 when there is no SIP URI to call */
export function transferTarget(refer: SipRequest): TransferTarget {
  const { uri: full } = firstAddress(header(refer, 'refer-to') ?? '');
  const uri = full.split('?', 1)[0]!;
  if (full.length > MAX_URI || !/^sips?:[^\s<>"]+$/i.test(uri))
    throw new Refusal(400, 'Refer-To names no SIP URI.');
  const { parameters, headers: asked } = uriParts(full);
  if ((parameters.get('method') ?? 'INVITE').toUpperCase() !== 'INVITE')
    throw new Refusal(400, 'Refer-To asks for something else than a call.');
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

/** `X-Order` for `x-order`: headers of applications. */
function extensionName(name: string): string | undefined {
  if (!/^x-[a-z0-9-]*[a-z0-9]$/.test(name)) return undefined;
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/** Who transfers (RFC 3892): as the REFER says, or who sent it. */
function referredBy(refer: SipRequest): Headers {
  const { uri } = firstAddress(header(refer, 'referred-by') ?? header(refer, 'from') ?? '');
  const usable = uri.length <= MAX_URI && /^(?:sips?|tel):[^\s<>"]+$/i.test(uri) && !holdsToken(uri);
  return usable ? { 'Referred-By': `<${uri}>` } : {};
}

/** How long a target may ring. */
const RINGING_LIMIT_MS = 60_000;

const TRYING = 'SIP/2.0 100 Trying';
const TAKEN = 'SIP/2.0 200 OK';

interface TransferParts {
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
      await this.#notify(progress, 'terminated;reason=noresource');
    }
    if (this.#taken && !this.#phoneLeft)
      this.#call.sayBye(this.#dialog, { Reason: reasonHeader(200, 'The call was transferred.') });
  }

  /** Calls the target; a dialog that comes of it is the call's at once. */
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
            this.#call.sayBye(dialog, { Reason: reasonHeader(487, 'The call is over.') });
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

/** Forks of a call (RFC 3261 section 12.1.2) whose early descriptions are kept. */
const MAX_FORKS = 8;

/** What a target answers with before its 200, which many carriers then send without a description. */
class EarlyAnswers {
  /** By To tag. */
  readonly #byTag = new Map<string, string>();

  add(response: SipResponse): void {
    const sdp = sdpOf(response);
    const tag = /;\s*tag=([^;>\s]+)/i.exec(header(response, 'to') ?? '')?.[1];
    if (sdp !== undefined && tag !== undefined && this.#byTag.size < MAX_FORKS) this.#byTag.set(tag, sdp);
  }

  /** The description of the 200, or of the provisional response of the same dialog. */
  answerOf({ remote, sip }: SipDialog): string {
    const sdp = (remote.sdp ?? '').trim() === '' ? this.#byTag.get(sip.remoteTag) : remote.sdp;
    return sdp ?? '';
  }
}

/** drachtio-srf gives a refusal as an error with the response's status and reason. */
function statusLineOf(error: unknown): string {
  const { status, reason } = (error ?? {}) as { status?: unknown; reason?: unknown };
  if (typeof status !== 'number') return 'SIP/2.0 503 Service Unavailable';
  return `SIP/2.0 ${status} ${typeof reason === 'string' ? reason.replace(/[\r\n]/g, ' ') : ''}`;
}
