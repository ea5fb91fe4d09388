import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { asAddress, inNetworks } from './networks.js';

/** The parts of an HTTP request that tell its client's address. */
export interface AddressedRequest {
  readonly socket: { readonly remoteAddress?: string | undefined };
  readonly headers: IncomingHttpHeaders;
}

export type ClientAddress = (request: AddressedRequest) => string;

/** What proxies add to a request; a client without one sends none of it. */
const OF_PROXIES = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip'];

/** Whether a proxy passed a request on, trusted or not. */
export const isForwarded = ({ headers }: Pick<AddressedRequest, 'headers'>): boolean =>
  OF_PROXIES.some((name) => headers[name] !== undefined);

/** No honest client sends a longer header. */
const MAX_HEADER_LENGTH = 4_096;
const MAX_HOPS = 32;

/**
 * Finds a request's client: the peer or, if that is a trusted proxy, the address that it gives in `Forwarded` (RFC 7239)
 * or `X-Forwarded-For`. The list is read from the right, as long as the proxy that added the entry is trusted. A proxy
 * writes one of the two headers and lets the other through, so if both are there and differ, neither counts.
 * @param trusted addresses and CIDRs
 */
export function clientAddresses(trusted: readonly string[]): ClientAddress {
  const isTrusted = inNetworks(trusted);
  const last = (peer: string, chain: readonly string[]): string => {
    let believed = peer;
    for (const said of chain.slice(-MAX_HOPS).reverse()) {
      if (!isTrusted(believed)) break;
      const address = addressIn(said);
      // Obfuscated or unknown (RFC 7239 section 6): the proxy that wrote it is the last known address.
      if (address === undefined) break;
      believed = address;
    }
    return believed;
  };
  return ({ socket, headers }) => {
    const peer = socket.remoteAddress ?? '';
    if (trusted.length === 0 || !isTrusted(peer)) return peer;
    const { forwarded, 'x-forwarded-for': xForwardedFor } = headers;
    const chains = [
      forwardedParameter(forwarded ?? '', 'for'),
      commaSeparated(xForwardedFor?.toString() ?? ''),
    ];
    const [one = peer, other = one] = chains
      .filter(({ length }) => length > 0)
      .map((chain) => last(peer, chain));
    return one === other ? one : peer;
  };
}

const commaSeparated = (header: string): string[] =>
  header.length > MAX_HEADER_LENGTH || header === '' ? [] : header.split(',').map((part) => part.trim());

/** A parameter of each element of `Forwarded`; empty where it has none. */
function forwardedParameter(header: string, name: 'for' | 'proto'): string[] {
  if (header === '' || header.length > MAX_HEADER_LENGTH) return [];
  const start = `${name}=`;
  return splitOutsideQuotes(header, ',').map((element) => {
    const pairs = splitOutsideQuotes(element, ';').map((one) => one.trim());
    const pair = pairs.find((one) => one.toLowerCase().startsWith(start)) ?? '';
    return unquoted(pair.slice(start.length));
  });
}

/**
 * Tells whether a client's request came by TLS, as a trusted proxy says in `Forwarded` (RFC 7239) or
 * `X-Forwarded-Proto`. A client that claims so itself gets cookies for TLS only, which harms nobody else.
 * @param trusted addresses and CIDRs
 */
export function secureRequests(trusted: readonly string[]): (request: AddressedRequest) => boolean {
  const isTrusted = inNetworks(trusted);
  return ({ socket, headers }) => {
    if (!isTrusted(socket.remoteAddress ?? '')) return false;
    const { forwarded = '', 'x-forwarded-proto': proto = '' } = headers;
    const said = [...forwardedParameter(forwarded, 'proto'), ...commaSeparated(proto.toString())];
    return said.some((one) => one.toLowerCase() === 'https');
  };
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted && character === '\\') at += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

const unquoted = (text: string): string =>
  text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;

/** The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. */
function addressIn(node: string): string | undefined {
  if (node.length > 64) return undefined;
  const bracketed = /^\[([^\]]*)\](?::\w+)?$/.exec(node);
  if (bracketed) return asAddress(bracketed[1]!);
  const withPort = /^([\d.]+):\w+$/.exec(node);
  return asAddress(withPort?.[1] ?? node);
}

/** How long the peer may take to read the last words. */
const LINGER_MS = 1_000;

/**
 * Sends `lastWord` and frees the socket. Node's HTTP sockets allow half-open connections: with `end` alone, a peer that
 * never closes its side would keep the socket and its descriptor.
 */
export function hangUp(stream: Duplex, lastWord: string): void {
  const free = (): void => void stream.destroy();
  const timer = setTimeout(free, LINGER_MS).unref();
  stream.on('error', free);
  stream.once('close', () => clearTimeout(timer));
  stream.end(lastWord, free);
}

/** A URL without user and password, which belong into a header. */
export function withoutCredentials(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

/** The header that sends the credentials of a URL as HTTP Basic (RFC 7617); none if it has none. */
export function basicAuthorization(url: URL): { readonly authorization?: string } {
  if (url.username === '' && url.password === '') return {};
  const credentials = [url.username, url.password].map(decodeURIComponent).join(':');
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}
