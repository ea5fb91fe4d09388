import type { HeardMessage } from '../../../test/support/sip-peer.js';

/** Where somebody takes SIP or RTP. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The URI in Contact. */
export const targetOf = (message: HeardMessage): string | undefined =>
  /<([^>]+)>/.exec(message.header('contact')[0] ?? '')?.[1];

/** @throws Error when the URI names no host by its address */
export function addressOf(uri: string): Address {
  const [, host, port = '5060'] = /^sip:(?:[^@]*@)?([\d.]+)(?::(\d+))?/.exec(uri) ?? [];
  if (host === undefined) throw new Error(`There is no address in ${uri}.`);
  return { host, port: Number(port) };
}

/** @throws Error when a description has no address for audio */
export function mediaAddressOf(body: string): Address {
  const [host, port] = [/^c=IN IP4 (\S+)/m, /^m=audio (\d+)/m].map((pattern) => pattern.exec(body)?.[1]);
  if (host === undefined || port === undefined) throw new Error(`There is no audio in:\n${body}`);
  return { host, port: Number(port) };
}
