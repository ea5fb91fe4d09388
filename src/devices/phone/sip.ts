import type Srf from 'drachtio-srf';
import type { SipSource } from '../../media/index.js';

/** Header fields by name; a name may not occur twice. */
export type Headers = Record<string, string>;

/** What a request or a response is sent with. */
export interface MessageOptions {
  headers?: Headers;
  body?: string;
}

/** Any SIP message of drachtio-srf. Header names are matched without case; several lines are joined by commas. */
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
  /** Transport that it came by: `udp`, `tcp`, `tls` and so on. */
  readonly protocol?: string;
  /** A header as drachtio-srf takes it apart. @throws Error when it cannot */
  getParsedHeader(name: string): unknown;
  on(event: 'cancel', listener: (cancel: SipMessage) => void): void;
}

/** Where a request of the network is answered. */
export interface SipResponder {
  readonly finalResponseSent: boolean;
  /** @param sent called when the SIP server has taken the response, or with why not */
  send(status: number, options: MessageOptions, sent?: (error: unknown) => void): void;
}

/** A response from the network to a request of ours. */
export interface SipResponse extends SipMessage {
  readonly status: number;
  readonly reason: string;
}

/** Requests in a dialog that ask for an answer of ours. */
export type DialogRequestEvent =
  'modify' | 'update' | 'info' | 'message' | 'notify' | 'options' | 'publish' | 'refer' | 'subscribe';

export type RequestListener = (request: SipRequest, responder: SipResponder) => void;

/** An INVITE dialog of drachtio-srf. It answers BYE by itself. */
export interface SipDialog {
  readonly id: string;
  /** The INVITE that made it. */
  readonly req: SipRequest;
  /** Its 2xx; a dialog that the phone made has one of ours, without a source. */
  readonly res?: { readonly source_address?: string };
  readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
  /** Our Contact as the INVITE's dialog has it; drachtio-server does not put it into answers to UPDATE. */
  readonly local: { readonly contact?: string };
  /** The SDP that the phone sent last in its dialog-making message. */
  readonly remote: { readonly sdp?: string };
  on(event: DialogRequestEvent, listener: RequestListener): void;
  on(event: 'destroy', listener: (bye: SipRequest, reason?: string) => void): void;
  on(event: 'ack', listener: (ack: SipRequest) => void): void;
  on(event: 'unsubscribe', listener: () => void): void;
  /** Called for each request in it. */
  handle(request: SipRequest, responder: SipResponder): void;
  /** The callback comes once for each response, provisional ones too, or once with an error. */
  request(
    options: MessageOptions & { method: string },
    callback: (error: unknown, response?: SipResponse) => void,
  ): void;
  /** Sends BYE; the callback comes with its final response, or with an error when it could not be sent. */
  destroy(options: MessageOptions, callback: (error: unknown) => void): void;
}

/** The part of drachtio-srf's application object that the phone application uses. */
export interface SipApplication {
  /** Handles a method outside of dialogs: `invite`, `options`, .... */
  use(method: string, handler: RequestListener): void;
  /** Sends a request outside of dialogs; the callback comes when the SIP server has it. */
  request(
    uri: string,
    options: MessageOptions & { method: string },
    callback: (error: unknown) => void,
  ): void;
  /** Sends 200 to an INVITE. The callback comes when the SIP server has it, before any later message of the call. */
  createUAS(
    request: SipRequest,
    responder: SipResponder,
    options: { localSdp: string | undefined; headers: Headers },
    callback: (error: unknown, dialog?: SipDialog) => void,
  ): void;
  /** Calls someone; ACKs the 2xx by itself. A refusal comes as an error with its `status`. */
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
 * drachtio-srf's own types do not know most dialog events; this is the one
 * place where they are exchanged for ours.
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

/** A header's value, also when it came in its compact form; several lines are joined by commas. */
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

/** The session description in a message's body; one inside a multipart body is all that is left of it here. */
export function sdpOf(message: SipMessage): string | undefined {
  const body = message.body ?? '';
  if (body.trim() === '') return undefined;
  const type = header(message, 'content-type')?.toLowerCase();
  return type === undefined || type.startsWith(SDP_TYPE) ? body : undefined;
}

/** The Call-ID, by which operators find a call in their logs. */
export function callIdOf(message: SipMessage): string {
  return header(message, 'call-id') ?? '';
}

/**
 * Where a request of a phone came from. A request that one hop brought comes from the phone itself: proxies add
 * themselves to Via (RFC 3261 section 16.6). drachtio-server tells the address that it received the request from, so
 * that this holds behind it, too.
 */
export function sourceOf(request: SipRequest): SipSource {
  // A comma that stands for something else than another hop only makes us careful.
  const hops = listed(request, 'via').length;
  return {
    address: hostOf(request.source_address),
    isDirect: hops <= 1 && header(request, 'record-route') === undefined,
    isConnection: /^(tcp|tls|wss?)$/i.test(request.protocol ?? ''),
  };
}

/** An address as sockets know it: IPv6 without brackets. */
export function hostOf(address: string): string {
  return address.replace(/^\[|\]$/g, '');
}

/** The number in the CSeq, by which an ACK belongs to its INVITE. */
export function cseqOf(message: SipMessage): number {
  return Number.parseInt(header(message, 'cseq') ?? '', 10);
}

/** A quoted-string of RFC 3261 section 25.1. */
export function quoted(text: string): string {
  return `"${text.replace(/[\r\n]+/g, ' ').replace(/(["\\])/g, '\\$1')}"`;
}
