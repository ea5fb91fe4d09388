import type Srf from 'drachtio-srf';
import type { SipSource } from '../../media/index.js';

/** Header fields by name; a name may not occur twice. */
export type Headers = Record<string, string>;

/** Headers and body of a request or response to send. */
export interface MessageOptions {
  headers?: Headers;
  body?: string;
}

/** Any SIP message of drachtio-srf. Header names are case-insensitive; several lines are joined by commas. */
export interface SipMessage {
  readonly body?: string;
  get(name: string): string | undefined;
}

/** A request from the network. */
export interface SipRequest extends SipMessage {
  readonly method: string;
  /** The Request-URI as received. */
  readonly uri: string;
  readonly source_address: string;
  readonly source_port?: number;
  /** Transport: `udp`, `tcp`, `tls` and so on. */
  readonly protocol?: string;
  /** A header, parsed by drachtio-srf. @throws Error when it is malformed */
  getParsedHeader(name: string): unknown;
  on(event: 'cancel', listener: (cancel: SipMessage) => void): void;
}

/** Answers a request from the network. */
export interface SipResponder {
  readonly finalResponseSent: boolean;
  /** @param sent called when the SIP server has accepted the response, or with an error */
  send(status: number, options: MessageOptions, sent?: (error: unknown) => void): void;
}

/** A response from the network to a request of ours. */
export interface SipResponse extends SipMessage {
  readonly status: number;
  readonly reason: string;
}

/** Requests in a dialog that we must answer. */
export type DialogRequestEvent =
  'modify' | 'update' | 'info' | 'message' | 'notify' | 'options' | 'publish' | 'refer' | 'subscribe';

export type RequestListener = (request: SipRequest, responder: SipResponder) => void;

/** An INVITE dialog of drachtio-srf. It answers BYE by itself. */
export interface SipDialog {
  readonly id: string;
  /** Who sent the INVITE: the phone (`uas`), or we (`uac`). */
  readonly type: 'uas' | 'uac';
  /** The INVITE that made it. */
  readonly req: SipRequest;
  /** The 2xx of the INVITE. If the phone sent the INVITE, the 2xx is ours and has no source. */
  readonly res?: SipMessage & { readonly source_address?: string };
  readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
  /** Our Contact in this dialog. drachtio-server does not add it to answers to UPDATE. */
  readonly local: { readonly contact?: string };
  /** The SDP of the INVITE or of the 2xx, whichever the phone sent. */
  readonly remote: { readonly sdp?: string };
  on(event: DialogRequestEvent, listener: RequestListener): void;
  on(event: 'destroy', listener: (bye: SipRequest, reason?: string) => void): void;
  on(event: 'ack', listener: (ack: SipRequest) => void): void;
  on(event: 'unsubscribe', listener: () => void): void;
  /** drachtio-srf calls it for each request in the dialog. */
  handle(request: SipRequest, responder: SipResponder): void;
  /** The callback is called for each response, provisional ones too, or once with an error. */
  request(
    options: MessageOptions & { method: string },
    callback: (error: unknown, response?: SipResponse) => void,
  ): void;
  /** Sends BYE. The callback is called at its final response, or with an error when it could not be sent. */
  destroy(options: MessageOptions, callback: (error: unknown) => void): void;
}

/** The part of drachtio-srf's application object that the phone application uses. */
export interface SipApplication {
  /** Handles a method outside of dialogs: `invite`, `options` and so on. */
  use(method: string, handler: RequestListener): void;
  /** Sends a request outside of dialogs. The callback is called when the SIP server has accepted it. */
  request(
    uri: string,
    options: MessageOptions & { method: string },
    callback: (error: unknown) => void,
  ): void;
  /**
   * Sends 200 to an INVITE. The callback is called when the SIP server has accepted it, before any later message of the
   * call.
   */
  createUAS(
    request: SipRequest,
    responder: SipResponder,
    options: { localSdp: string | undefined; headers: Headers },
    callback: (error: unknown, dialog?: SipDialog) => void,
  ): void;
  /** Sends an INVITE, and the ACK of the 2xx by itself. A refusal is an error with its `status`. */
  createUAC(
    uri: string,
    options: { localSdp: string; headers: Headers },
    progress: {
      cbRequest: (error: unknown, request?: OutgoingRequest) => void;
      cbProvisional: (response: SipResponse) => void;
    },
    callback: (error: unknown, dialog?: SipDialog) => void,
  ): void;
}

/** An INVITE of ours that is not answered yet. */
export interface OutgoingRequest {
  cancel(callback: (error: unknown) => void): void;
}

/**
 * drachtio-srf's own types lack most dialog events. This is the one place where they are replaced by ours.
 */
export function sipApplication(srf: Srf): SipApplication {
  return srf as unknown as SipApplication;
}

const COMPACT_FORMS = new Map([
  ['refer-to', 'r'],
  ['referred-by', 'b'],
  ['session-expires', 'x'],
  ['event', 'o'],
  ['via', 'v'],
]);

/** A header's value, in its long or compact form; several lines are joined by commas. */
export function header(message: SipMessage, name: string): string | undefined {
  const compact = COMPACT_FORMS.get(name.toLowerCase());
  return message.get(name) ?? (compact === undefined ? undefined : message.get(compact));
}

/** Whether a header that lists option tags or methods has this one. */
export function lists(message: SipMessage, name: string, item: string): boolean {
  return listed(message, name).includes(item.toLowerCase());
}

/** The items of a comma-separated header, in lower case. */
export function listed(message: SipMessage, name: string): string[] {
  return (header(message, name) ?? '')
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== '');
}

export const SDP_TYPE = 'application/sdp';

/** The session description of a message. `sanitizeMessage` has taken it out of a multipart body before. */
export function sdpOf(message: SipMessage): string | undefined {
  const body = message.body ?? '';
  if (body.trim() === '') return undefined;
  const type = header(message, 'content-type')?.toLowerCase();
  return type === undefined || type.startsWith(SDP_TYPE) ? body : undefined;
}

/** The Call-ID; empty when there is none. */
export function callIdOf(message: SipMessage): string {
  return header(message, 'call-id') ?? '';
}

/**
 * Where a request of a phone came from. A request with one Via comes from the phone itself, since each proxy adds one
 * (RFC 3261 section 16.6). drachtio-server reports the address that it received the request from, so this holds for it
 * too.
 */
export function sourceOf(request: SipRequest): SipSource {
  // A comma may also be within one Via. Then a phone is taken for a proxy, which is the safe side.
  const hops = listed(request, 'via').length;
  return {
    address: hostOf(request.source_address),
    isDirect: hops <= 1 && header(request, 'record-route') === undefined,
    isConnection: /^(tcp|tls|wss?)$/i.test(request.protocol ?? ''),
  };
}

/** An address without the brackets of IPv6, as sockets need it. */
export function hostOf(address: string): string {
  return address.replace(/^\[|\]$/g, '');
}

/** The number in CSeq: an ACK has that of its INVITE. */
export function cseqOf(message: SipMessage): number {
  return Number.parseInt(header(message, 'cseq') ?? '', 10);
}

/** A quoted-string of RFC 3261 section 25.1. */
export function quoted(text: string): string {
  return `"${text.replace(/[\r\n]+/g, ' ').replace(/(["\\])/g, '\\$1')}"`;
}
