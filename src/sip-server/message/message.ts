import type { Headers } from './headers.js';

/**
 * SIP messages as this folder keeps them.
 *
 * Strings hold one byte in each character (latin1), so that what came from the network goes out again byte
 * for byte whatever its encoding; only `encodeMessage` and the parser turn bytes into strings and back.
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

/** The bytes of a message, its Content-Length set right; `spell` writes the names of its headers. */
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
