import { randomUUID } from 'node:crypto';
import { maskSipBody } from '../../shared/index.js';
import { encodeMessage, NO_BODY, type SipMessage } from '../message/message.js';
import { readNumber } from '../message/grammar.js';
import { Headers, spellName } from '../message/headers.js';
import type { Endpoint, Flow, TransportName } from '../transport/flow.js';

/** Longest timeout that an application can set for proxying. */
const MAX_PROXY_TIMEOUT_MS = 3_600_000;

/** Where a message was received from or sent to, for the application. */
interface MessageMeta {
  readonly source: 'network' | 'application';
  readonly transport: TransportName;
  /** The peer's address. */
  readonly remote: Endpoint;
  /** Our address at which a request was received. */
  readonly receivedOn?: Endpoint | undefined;
}

/** Describes a message of the peer to the application. */
export function fromNetwork(flow: Flow): MessageMeta {
  return { source: 'network', transport: flow.transport, remote: flow.remote };
}

/** Describes to the application a message that was sent on its behalf. */
export function fromApplication(flow: Flow): MessageMeta {
  return { source: 'application', transport: flow.transport, remote: flow.remote };
}

/** Frames one message of the admin protocol: length in bytes, `#`, message. */
function frame(line: string, sip?: Buffer): Buffer {
  // SIP texts hold one byte per character (latin1), so their length is in bytes.
  const length = line.length + (sip ? sip.length + 2 : 0);
  const head = Buffer.from(`${length}#${line}${sip ? '\r\n' : ''}`, 'latin1');
  return sip ? Buffer.concat([head, sip]) : head;
}

/**
 * Passes a SIP message to the application: `id|sip|network|bytes|protocol|address|port|time|transaction|dialog|…`.
 */
export function sipFrame(
  message: SipMessage,
  meta: MessageMeta,
  transactionId: string,
  dialogId: string,
): Buffer {
  const sip = forApp(message);
  const { receivedOn } = meta;
  const tail = receivedOn ? `|${receivedOn.host}|${receivedOn.port}|` : '|';
  return frame(`${randomUUID()}|sip|${metaText(meta, sip.length)}|${transactionId}|${dialogId}${tail}`, sip);
}

/** The result of the command that the application sent as message `messageId`. */
export function outcomeFrame(messageId: string, ok: boolean, text = ''): Buffer {
  return frame(`${randomUUID()}|response|${messageId}|${ok ? 'OK' : 'NOK'}${text === '' ? '' : `|${text}`}`);
}

/** A final response to a request that the application had proxied. More may follow. */
export function proxiedFrame(messageId: string, response: SipMessage, meta: MessageMeta): Buffer {
  const sip = forApp(response);
  return frame(`${randomUUID()}|response|${messageId}|OK|${metaText(meta, sip.length)}|||continue`, sip);
}

/** Tells the application which message was sent on its behalf. */
export function sentFrame(
  messageId: string,
  message: SipMessage,
  meta: MessageMeta,
  transactionId: string,
  dialogId?: string,
): Buffer {
  const sip = forApp(message);
  const ids = dialogId === undefined ? transactionId : `${transactionId}|${dialogId}|`;
  const line = `${randomUUID()}|response|${messageId}|OK|${metaText(meta, sip.length)}|${ids}|Msg sent:|`;
  return frame(line, sip);
}

/** A call record: attempt, start (with our role) or stop (with its cause). Tokens in its message are masked. */
export function cdrFrame(
  kind: string,
  source: string,
  detail: string | undefined,
  message: SipMessage,
  mask: (text: string) => string,
): Buffer {
  const tail = detail === undefined ? '' : `|${detail}`;
  // Mask the body first, so that Content-Length is computed from the masked body.
  const body = Buffer.from(maskSipBody(message.body.toString('latin1')), 'latin1');
  const text = mask(forApp({ ...message, body }).toString('latin1'));
  return frame(`${randomUUID()}|${kind}|${source}|${timeOfDay()}${tail}`, Buffer.from(text, 'latin1'));
}

function metaText({ source, transport, remote }: MessageMeta, bytes: number): string {
  return `${source}|${bytes}|${transport}|${remote.host}|${remote.port}|${timeOfDay()}`;
}

/** Write full header names, one line each: applications' parsers do not know every compact form, nor folding. */
function forApp(message: SipMessage): Buffer {
  return encodeMessage(message, spellName);
}

function timeOfDay(): string {
  return `${new Date().toISOString().slice(11, 23)}000`;
}

/** A SIP message as an application writes it, without the headers that the stack adds. */
export interface AppMessage {
  /** Empty for a response. */
  readonly method: string;
  readonly uri: string;
  /** 0 for a request. */
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Reads an application's message. Ignores its Content-Length, which counts characters, not bytes. */
export function readAppMessage(bytes: Buffer): AppMessage | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  const body = end < 0 ? NO_BODY : bytes.subarray(end + 4);
  const [start = '', ...lines] = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.add(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const response = /^SIP\/2\.0 ([1-6]\d\d) ?(.*)$/.exec(start);
  if (response) {
    return { method: '', uri: '', status: Number(response[1]), reason: response[2] ?? '', headers, body };
  }
  const request = /^(\S+) (\S+) SIP\/2\.0$/.exec(start);
  if (!request) return undefined;
  return { method: request[1]!, uri: request[2]!, status: 0, reason: '', headers, body };
}

/** How an application wants a request proxied: the options of drachtio-srf's `req.proxy`. */
export interface ProxyOptions {
  /** Whether we stay in the path of later requests of the dialog (Record-Route). */
  readonly recordRoute: boolean;
  /** Whether the application gets each final response. */
  readonly fullResponse: boolean;
  readonly followRedirects: boolean;
  /** Whether all targets are tried at once (forking), instead of one after the other. */
  readonly simultaneous: boolean;
  /** Time limits of one target, in ms: for its first response, and for its final one. */
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  /** URIs, in the order in which they are tried. */
  readonly targets: readonly string[];
}

/** Reads the fields of the admin protocol's `proxy` message that follow its transaction id. */
export function readProxyOptions(fields: readonly string[]): ProxyOptions {
  const [remain, full, follow, forking, provisional = '', final = '', ...targets] = fields;
  return {
    recordRoute: remain === 'remainInDialog',
    fullResponse: full === 'fullResponse',
    followRedirects: follow === 'followRedirects',
    simultaneous: forking === 'simultaneous',
    provisionalMs: readDuration(provisional),
    finalMs: readDuration(final),
    targets: targets.filter((target) => target !== ''),
  };
}

/** Reads `1500ms` or `2s`. Anything else, and zero, means no limit. */
export function readDuration(text: string): number | undefined {
  const match = /^(\d+)(ms|s)$/.exec(text.trim());
  const value = match ? readNumber(match[1]!, MAX_PROXY_TIMEOUT_MS) : undefined;
  if (value === undefined || value === 0) return undefined;
  return Math.min(MAX_PROXY_TIMEOUT_MS, match?.[2] === 's' ? value * 1000 : value);
}
