import type { Headers } from './headers.js';

/**
 * SIP messages in this folder. Strings hold one byte per character (latin1), so that bytes are forwarded unchanged
 * whatever their encoding. Only `encodeMessage` and the parser convert between bytes and strings.
 */
export interface SipRequest {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** A SIP response; see `SipRequest` about its strings. */
export interface SipResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

export type SipMessage = SipRequest | SipResponse;

export const NO_BODY = Buffer.alloc(0);

/** Encodes a message with the right Content-Length. `spell` changes how header names are written. */
export function encodeMessage(message: SipMessage, spell?: (name: string) => string): Buffer {
  let head =
    message.kind === 'request'
      ? `${message.method} ${message.uri} SIP/2.0\r\n`
      : `SIP/2.0 ${message.status} ${message.reason}\r\n`;
  for (const { key, name, value } of message.headers) {
    if (key !== 'content-length') head += `${spell ? spell(name) : name}: ${value}\r\n`;
  }
  head += `Content-Length: ${message.body.length}\r\n\r\n`;
  const bytes = Buffer.from(head, 'latin1');
  return message.body.length === 0 ? bytes : Buffer.concat([bytes, message.body]);
}
