import { Headers } from '../message/headers.js';
import { NO_BODY } from '../message/message.js';

/** A SIP message as an application sends it: only what it wants to say, without what the stack adds. */
export interface AppMessage {
  /** Set for a request. */
  readonly method: string;
  readonly uri: string;
  /** Set for a response, else 0. */
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Reads an application's message; its Content-Length counts characters, not bytes, and is not relied on. */
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
