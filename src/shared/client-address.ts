import type { IncomingHttpHeaders } from 'node:http';
import { asAddress, inNetworks } from './networks.js';

/** The part of an HTTP request that says who sent it. */
export interface AddressedRequest {
  readonly socket: { readonly remoteAddress?: string | undefined };
  readonly headers: IncomingHttpHeaders;
}

export type ClientAddress = (request: AddressedRequest) => string;

/** A longer header, or one with more proxies in it, is of no use to anybody honest. */
const MAX_HEADER_LENGTH = 4_096;
const MAX_HOPS = 32;

/**
 * Whose request it is: the peer, or, when that is a proxy that the operator trusts, whom it names in `Forwarded`
 * (RFC 7239) or `X-Forwarded-For`; the chain is walked from the right, as long as who said it is trusted. What anybody
 * else says there is ignored. A proxy writes one of the two and lets the other through: when both are there and
 * disagree, neither counts.
 * @param trusted addresses and CIDRs
 */
export function clientAddresses(trusted: readonly string[]): ClientAddress {
  const isTrusted = inNetworks(trusted);
  const last = (peer: string, chain: readonly string[]): string => {
    let believed = peer;
    for (const said of chain.slice(-MAX_HOPS).reverse()) {
      if (!isTrusted(believed)) break;
      const address = addressIn(said);
      // Obfuscated or not known (RFC 7239 section 6): the proxy that says so is the last that we know.
      if (address === undefined) break;
      believed = address;
    }
    return believed;
  };
  return ({ socket, headers }) => {
    const peer = socket.remoteAddress ?? '';
    if (trusted.length === 0 || !isTrusted(peer)) return peer;
    const { forwarded, 'x-forwarded-for': xForwardedFor } = headers;
    const chains = [forwardedFor(forwarded ?? ''), commaSeparated(xForwardedFor?.toString() ?? '')];
    const [one = peer, other = one] = chains
      .filter(({ length }) => length > 0)
      .map((chain) => last(peer, chain));
    return one === other ? one : peer;
  };
}

const commaSeparated = (header: string): string[] =>
  header.length > MAX_HEADER_LENGTH || header === '' ? [] : header.split(',').map((part) => part.trim());

/** The `for` of each element, empty where there is none. */
function forwardedFor(header: string): string[] {
  if (header === '' || header.length > MAX_HEADER_LENGTH) return [];
  return splitOutsideQuotes(header, ',').map((element) => {
    const pair = splitOutsideQuotes(element, ';').find((one) => /^for=/i.test(one.trim()));
    return unquoted((pair ?? '').trim().slice('for='.length));
  });
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

/** Of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`. */
function addressIn(node: string): string | undefined {
  if (node.length > 64) return undefined;
  const bracketed = /^\[([^\]]*)\](?::\w+)?$/.exec(node);
  if (bracketed) return asAddress(bracketed[1]!);
  const withPort = /^([\d.]+):\w+$/.exec(node);
  return asAddress(withPort?.[1] ?? node);
}
